"""Single wrongs on HTTP/2 connections: `faults.py ADDRESS`. Prints a JSON list of what came of each.

A case sends something wrong on a connection of its own and says which ends are right: `rst` and `goaway` for a stream
and a connection that end with any error, `rst:1` for one that ends with this error (RFC 9113, 7; the library says 1 where 6 or 9 would tell more), a status for an
answer, `closed` for a connection that ends without a word, `open` for nothing at all. Where the connection goes on, an
honest request on it must be answered.
"""

import json
import struct
import sys

import frames
from frames import CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PADDED, PING, PRIORITY, PUSH_PROMISE
from frames import RST_STREAM, SETTINGS, headers, literal, plain, raw, request, window

# A stream error may be answered as one of the connection (RFC 9113, 5.4.1).
MALFORMED = ["rst:1", "goaway:1", "400"]
CONNECTION = ["goaway", "closed"]

WHOLE = END_STREAM | END_HEADERS


def fields(*given):
    return headers(1, given)


def with_fields(*more):
    return headers(1, request(more=more))


def without(name):
    return headers(1, [field for field in request() if field[0] != name])


def put(more, *bodies, end=True):
    parts = [headers(1, request("/upload/faults", "PUT", more=more), END_HEADERS)]
    for number, body in enumerate(bodies, 1):
        parts.append(raw(DATA, END_STREAM if end and number == len(bodies) else 0, 1, body))
    return b"".join(parts)


def split(block, size=16384):
    """A header block as frames."""
    parts = [block[at:at + size] for at in range(0, len(block), size)]
    out = b""
    for number, part in enumerate(parts):
        last = END_HEADERS if number == len(parts) - 1 else 0
        out += raw(HEADERS if number == 0 else CONTINUATION, last | (END_STREAM if number == 0 else 0), 1, part)
    return out


def setting(key, value):
    return raw(SETTINGS, 0, 0, struct.pack(">HI", key, value))


CASES = [
    # Names and values.
    ("upper-case name", with_fields(("X-Upper", "a")), MALFORMED),
    ("empty name", with_fields(("", "a")), MALFORMED),
    ("space in a name", with_fields(("x y", "a")), MALFORMED),
    ("colon in a name", with_fields(("x:y", "a")), MALFORMED),
    ("line break in a name", with_fields(("x\r\ny", "a")), MALFORMED),
    ("line break in a value", with_fields(("x", "a\r\nhost: b")), MALFORMED),
    ("bare line feed in a value", with_fields(("x", "a\nb")), MALFORMED),
    ("bare carriage return in a value", with_fields(("x", "a\rb")), MALFORMED),
    ("zero in a value", with_fields(("x", "a\0b")), MALFORMED),
    # Headers of a connection (RFC 9113, 8.2.2).
    ("connection", with_fields(("connection", "close")), MALFORMED),
    ("keep-alive", with_fields(("keep-alive", "timeout=5")), MALFORMED),
    ("proxy-connection", with_fields(("proxy-connection", "close")), MALFORMED),
    ("transfer-encoding", with_fields(("transfer-encoding", "chunked")), MALFORMED),
    ("upgrade", with_fields(("upgrade", "websocket")), MALFORMED),
    ("te other than trailers", with_fields(("te", "gzip")), MALFORMED),
    ("te with trailers is honest", with_fields(("te", "trailers")), ["200"]),
    # Pseudo-headers (8.3).
    ("no method", without(":method"), MALFORMED),
    ("no scheme", without(":scheme"), MALFORMED),
    ("no path", without(":path"), MALFORMED),
    ("no authority and no host", without(":authority"), MALFORMED),
    ("host in place of authority is honest", headers(1, [f for f in request() if f[0] != ":authority"] + [("host", "tools.test")]), ["200"]),
    ("empty path", headers(1, request("")), MALFORMED),
    ("relative path", headers(1, request("1k")), MALFORMED),
    ("asterisk for another method than OPTIONS", headers(1, request("*")), [*MALFORMED, "404"]),
    ("two methods", headers(1, [(":method", "GET"), *request()]), MALFORMED),
    ("two paths", headers(1, [(":path", "/64k"), *request()]), MALFORMED),
    ("two authorities", headers(1, [(":authority", "other.test"), *request()]), MALFORMED),
    ("two schemes", headers(1, [(":scheme", "https"), *request()]), MALFORMED),
    ("unknown pseudo-header", headers(1, [(":version", "2"), *request()]), MALFORMED),
    ("pseudo-header of an answer", headers(1, [(":status", "200"), *request()]), MALFORMED),
    ("pseudo-header behind others", headers(1, [*request()[:3], ("x", "a"), request()[3]]), MALFORMED),
    ("authority and host differ", with_fields(("host", "other.test")), MALFORMED),
    ("two hosts", with_fields(("host", "tools.test"), ("host", "tools.test")), [*MALFORMED]),
    ("credentials in the authority", headers(1, request(authority="me:secret@tools.test")), MALFORMED),
    ("space in the authority", headers(1, request(authority="tools test")), MALFORMED),
    ("space in the path", headers(1, request("/1k HTTP/1.1\r\nx: y")), MALFORMED),
    # The library cuts it off, and nobody behind it gets to see it.
    ("fragment in the path", headers(1, request("/1k#x")), [*MALFORMED, "200"]),
    ("dots in the path", headers(1, request("/a/../1k")), MALFORMED),
    ("encoded dots in the path", headers(1, request("/a/%2e%2e/1k")), MALFORMED),
    ("space in the method", headers(1, request(method="GET /")), MALFORMED),
    ("empty method", headers(1, request(method="")), MALFORMED),
    ("another scheme", headers(1, [(":scheme", "ftp"), *[f for f in request() if f[0] != ":scheme"]]), MALFORMED),
    ("CONNECT", fields((":method", "CONNECT"), (":authority", "tools.test:443")), ["405", *MALFORMED]),
    ("CONNECT with a protocol nobody offered", headers(1, [(":method", "CONNECT"), (":protocol", "websocket"), *request()[1:]]), ["405", *MALFORMED]),
    ("TRACE", headers(1, request(method="TRACE")), ["405"]),
    # Bodies (8.1.1).
    ("shorter than announced", put([("content-length", "10")], b"12345"), [*MALFORMED, "rst"]),
    ("longer than announced", put([("content-length", "3")], b"12345"), [*MALFORMED, "rst"]),
    ("none where some was announced", headers(1, request("/upload/faults", "PUT", more=[("content-length", "5")])), [*MALFORMED, "rst"]),
    ("two announcements that differ", put([("content-length", "5"), ("content-length", "6")], b"12345"), MALFORMED),
    ("announcement that is no number", put([("content-length", "+5")], b"12345"), MALFORMED),
    ("announcement beyond all numbers", put([("content-length", "99999999999999999999")], b"12345"), MALFORMED),
    # The library leaves it out.
    ("trailers with a pseudo-header", put([], b"1", end=False) + headers(1, [(":path", "/x")]), [*MALFORMED, "rst", "201", "204"]),
    ("trailers that do not end the stream", put([], b"1", end=False) + headers(1, [("x", "a")], END_HEADERS), [*MALFORMED, "rst"]),
    ("trailers that frame", put([], b"1", end=False) + headers(1, [("content-length", "9")]), [*MALFORMED, "rst"]),
    # Too much.
    ("a header of 100,000 bytes", split(plain(request(more=[("x", "y" * 100_000)]))), ["431", "rst", "goaway"]),
    ("a thousand headers", split(plain(request(more=[(f"x-{n}", "y") for n in range(1000)]))), ["431", "rst", "goaway"]),
    ("a path of 20,000 bytes", split(plain(request("/" + "x" * 20_000))), ["414", "431", "rst"]),
    ("60 headers of 500 bytes are honest", split(plain(request(more=[(f"x-{n}", "y" * 500) for n in range(60)]))), ["200"]),
    # Streams (5.1).
    ("an even stream", headers(2, request()), CONNECTION),
    ("stream 0", headers(0, request()), CONNECTION),
    ("a stream behind the last", headers(7, request()) + headers(5, request()), CONNECTION),
    ("data on stream 0", raw(DATA, 0, 0, b"x"), CONNECTION),
    ("data on a stream nobody opened", raw(DATA, 0, 9, b"x"), CONNECTION),
    ("reset of a stream nobody opened", raw(RST_STREAM, 0, 9, bytes(4)), CONNECTION),
    ("window for a stream nobody opened", window(9, 1), CONNECTION),
    ("data behind the end of the request", headers(1, request("/32m")) + raw(DATA, 0, 1, b"x"), ["rst", "goaway"]),
    ("headers behind the end of the request", headers(1, request("/32m")) + headers(1, request()), ["rst", "goaway"]),
    ("promise from a client", raw(PUSH_PROMISE, END_HEADERS, 1, bytes([0, 0, 0, 2]) + plain(request())), CONNECTION),
    ("stream that depends on itself", raw(PRIORITY, 0, 1, bytes([0, 0, 0, 1, 16])), ["open", "rst:1", *CONNECTION]),
    # Frames.
    ("frame longer than allowed", raw(DATA, 0, 1, b"x", length=1 << 20) + bytes(70_000), CONNECTION),
    ("settings of 5 bytes", raw(SETTINGS, 0, 0, bytes(5)), ["goaway"]),
    ("settings of a stream", raw(SETTINGS, 0, 1, bytes(6)), ["goaway:1"]),
    ("acknowledgement with settings", raw(SETTINGS, 1, 0, bytes(6)), ["goaway"]),
    ("push that is neither on nor off", setting(2, 2), ["goaway:1"]),
    ("window beyond all windows", setting(4, 1 << 31), ["goaway:3", "goaway:1"]),
    ("frames of no size", setting(5, 1), ["goaway:1"]),
    ("unknown setting", setting(0x99, 1), ["open"]),
    ("ping of 7 bytes", raw(PING, 0, 0, bytes(7)), ["goaway"]),
    ("ping of a stream", raw(PING, 0, 1, bytes(8)), ["goaway:1"]),
    ("reset of 3 bytes", headers(1, request("/32m")) + raw(RST_STREAM, 0, 1, bytes(3)), ["goaway"]),
    ("window of 3 bytes", raw(8, 0, 0, bytes(3)), ["goaway"]),
    ("window of nothing", raw(8, 0, 0, bytes(4)), ["goaway:1"]),
    ("window of nothing for a stream", headers(1, request("/32m")) + raw(8, 0, 1, bytes(4)), ["rst:1", "goaway:1"]),
    ("window that overflows", window(0, (1 << 31) - 1) * 2, ["goaway:3"]),
    ("window of a stream that overflows", headers(1, request("/32m")) + window(1, (1 << 31) - 1) * 2, ["rst:3", "goaway:3"]),
    ("padding longer than its frame", put([], end=False) + raw(DATA, PADDED, 1, bytes([9, 1, 2])), ["goaway:1"]),
    ("continuation of nothing", raw(CONTINUATION, END_HEADERS, 1, plain(request())), ["goaway:1"]),
    ("frame inside a header block", raw(HEADERS, END_STREAM, 1, plain(request())) + raw(PING, 0, 0, bytes(8)), ["goaway:1"]),
    ("header block of another stream's continuation", raw(HEADERS, END_STREAM, 1, plain(request())) + raw(CONTINUATION, END_HEADERS, 3), ["goaway:1"]),
    ("header block that is no HPACK", raw(HEADERS, WHOLE, 1, b"\xff" * 20), ["goaway"]),
    ("table entry that is not there", raw(HEADERS, WHOLE, 1, plain(request()) + b"\xfe"), ["goaway"]),
    ("table larger than allowed", raw(HEADERS, WHOLE, 1, b"\x3f\xe1\xff\x03" + plain(request())), ["goaway"]),
    ("unknown frame is honest", raw(0x42, 0, 0, b"x" * 100) + headers(1, request()), ["200"]),
    ("padded request is honest", raw(HEADERS, WHOLE | PADDED, 1, bytes([7]) + plain(request()) + bytes(7)), ["200"]),
    ("request with a priority is honest", raw(HEADERS, WHOLE | 0x20, 1, bytes([0, 0, 0, 0, 15]) + plain(request())), ["200"]),
    ("cookies in parts are honest", with_fields(("cookie", "a=b"), ("cookie", "c=d")), ["200"]),
]


def ends(outcome):
    """What came of a stream and its connection, in the words of the cases."""
    found = []
    if outcome["goaway"] not in (None, 0):
        found += ["goaway", f"goaway:{outcome['goaway']}"]
    for code in outcome["resets"].values():
        if code != 0:
            found += ["rst", f"rst:{code}"]
    found += [status for status in outcome["answers"].values() if status != "200" or not found]
    if outcome["closed"]:
        found.append("closed")
    return found or ["open"]


def judge(address, name, sent, right):
    connection = frames.Connection(address)
    connection.send(sent)
    # Its end, or the answer to a ping behind it.
    connection.send(raw(PING, 0, 0, b"are you?"))

    def is_over(self):
        return self.goaway is not None or self.pongs > 0 and (right == ["open"] or self.resets or self.answers)

    connection.wait(is_over, 3 if "open" not in right else 1)
    connection.wait(lambda self: self.is_closed, 0.2)
    outcome = connection.outcome()
    found = ends(outcome)
    honest = 0
    is_right = any(end in right for end in found)
    if "200" in right:
        honest += 1
        is_right = is_right and outcome["data"].get(1) == 1024
    if outcome["goaway"] is None and not outcome["closed"]:
        connection.send(headers(101, request()))
        is_served = connection.wait(lambda self: 101 in self.ended, 10)
        honest += 1
        is_right = is_right and is_served and connection.answers.get(101) == "200"
    return {"case": name, "found": found, "right": is_right, "allowed": right, "honest": honest, "late": int(b"/32m" in sent)}


if __name__ == "__main__":
    print(json.dumps([judge(sys.argv[1], *case) for case in CASES]))
