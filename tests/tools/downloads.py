"""Downloads over HTTP/2 that are large, or stand still: `downloads.py ADDRESS big BYTES` or `… stalled REQUESTS`.

Prints what came of it as JSON.
"""

import json
import sys
import time

import frames
from frames import headers, request, window


def big(address, size):
    """Every DATA frame's window is given back at once, of the stream and of the connection, as simple clients do."""
    connection = frames.Connection(address)
    connection.send(headers(1, request("/big")))
    given, updates, begun = 0, 0, time.monotonic()
    while 1 not in connection.ended and not connection.is_closed and time.monotonic() < begun + 100:
        connection.wait(lambda self: self.data.get(1, 0) > given or 1 in self.ended, 10)
        got = connection.data.get(1, 0)
        # Many small updates: 1 KiB each.
        while given < got:
            part = min(1 << 10, got - given)
            connection.send(window(0, part) + window(1, part))
            given += part
            updates += 2
    got = connection.data.get(1, 0)
    return {"whole": got == size and 1 in connection.ended, "got": got, "updates": updates, "seconds": time.monotonic() - begun} | {
        "outcome": connection.outcome()
    }


def stalled(address, number):
    """Requests for 32 MiB each, spread over 4 connections: with windows of nothing, of a byte, of one frame, and of all
    that the stream may have while the connection has no more."""
    windows = [0, 1, 16384, (1 << 31) - 1]
    connections = []
    for size in windows:
        connection = frames.Connection(address, settings=b"\x00\x04" + size.to_bytes(4, "big"))
        for stream in range(1, number // 2 + 1, 2):
            connection.send(headers(stream, request("/32m")))
        connections.append(connection)
    until = time.monotonic() + 40
    unended = number
    while unended and time.monotonic() < until:
        unended = 0
        for connection in connections:
            connection.wait(lambda _: False, 0.1)
            if not connection.is_closed:
                unended += number // 4 - len(connection.ended | set(connection.resets))
    return {"unended": unended, "closed": [connection.is_closed for connection in connections]}


if __name__ == "__main__":
    address, name, number = sys.argv[1:]
    print(json.dumps({"big": big, "stalled": stalled}[name](address, int(number))))
