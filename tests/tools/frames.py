"""One HTTP/2 connection, frame by frame: whatever is asked for is sent, right or wrong, and what comes back is noted.

hyperframe and hpack give bytes to honest frames; a dishonest one is given as bytes.
"""

import select
import socket
import struct
import time

import hpack
from hyperframe import frame as frames

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8


def raw(kind, flags=0, stream=0, payload=b"", length=None):
    """A frame as bytes, whatever it holds."""
    size = len(payload) if length is None else length
    return struct.pack(">I", size)[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def plain(fields):
    """A header block without the dynamic table and without Huffman codes: what is given is what is sent."""
    block = b""
    for name, value in fields:
        block += b"\x00" + literal(name) + literal(value)
    return block


def literal(text):
    data = text.encode("latin-1") if isinstance(text, str) else text
    if len(data) < 127:
        return bytes([len(data)]) + data
    rest, size = len(data) - 127, b"\x7f"
    while rest >= 128:
        size += bytes([rest % 128 + 128])
        rest //= 128
    return size + bytes([rest]) + data


def request(path="/1k", method="GET", authority="tools.test", more=()):
    return [(":method", method), (":scheme", "http"), (":authority", authority), (":path", path), *more]


class Connection:
    def __init__(self, address, settings=b"", preface=PREFACE):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pending = b""
        self.decoder = hpack.Decoder()
        self.is_closed = False
        self.sent = 0
        # What came.
        self.goaway = None
        self.resets = {}
        self.answers = {}
        self.ended = set()
        self.data = {}
        self.settings = {}
        self.pongs = 0
        self.send(preface + raw(SETTINGS, payload=settings))

    def send(self, data, count=0):
        """False once the other side is gone."""
        view = memoryview(data)
        while view and not self.is_closed:
            readable, writable, _ = select.select([self.socket], [self.socket], [], 20)
            if readable:
                self.receive()
            elif writable:
                try:
                    self.socket.setblocking(False)
                    view = view[self.socket.send(view):]
                except BlockingIOError:
                    pass
                except OSError:
                    self.is_closed = True
            else:
                raise TimeoutError("the other side neither reads nor writes")
        self.sent += 0 if self.is_closed else count
        return not self.is_closed

    def receive(self):
        try:
            self.socket.setblocking(False)
            got = self.socket.recv(1 << 20)
        except BlockingIOError:
            return
        except OSError:
            got = b""
        if not got:
            self.is_closed = True
        self.pending += got
        at = 0
        while len(self.pending) - at >= 9:
            head = self.pending[at:at + 9]
            size = int.from_bytes(head[:3], "big")
            if len(self.pending) - at < 9 + size:
                break
            payload = self.pending[at + 9:at + 9 + size]
            at += 9 + size
            self.note(head[3], head[4], int.from_bytes(head[5:9], "big") & 0x7FFFFFFF, payload)
        self.pending = self.pending[at:]

    def note(self, kind, flags, stream, payload):
        if kind == HEADERS:
            fields = dict(self.decoder.decode(payload))
            self.answers.setdefault(stream, fields.get(":status"))
        elif kind == DATA:
            self.data[stream] = self.data.get(stream, 0) + len(payload)
        elif kind == RST_STREAM:
            self.resets[stream] = int.from_bytes(payload, "big")
        elif kind == GOAWAY:
            self.goaway = int.from_bytes(payload[4:8], "big")
        elif kind == SETTINGS and not flags & ACK:
            for at in range(0, len(payload), 6):
                key, value = struct.unpack(">HI", payload[at:at + 6])
                self.settings[key] = value
        elif kind == PING and flags & ACK:
            self.pongs += 1
        if kind in (HEADERS, DATA) and flags & END_STREAM:
            self.ended.add(stream)

    def wait(self, is_met, seconds):
        """Reads until something holds, the other side is gone, or time is up; whether it holds."""
        until = time.monotonic() + seconds
        while not is_met(self) and not self.is_closed and time.monotonic() < until:
            if select.select([self.socket], [], [], 0.05)[0]:
                self.receive()
        return is_met(self)

    def outcome(self):
        return {
            "goaway": self.goaway,
            "closed": self.is_closed,
            "resets": self.resets,
            "answers": self.answers,
            "data": self.data,
            "sent": self.sent,
            "streams": self.settings.get(3),
        }


def headers(stream, fields, flags=END_STREAM | END_HEADERS):
    return raw(HEADERS, flags, stream, plain(fields))


def window(stream, by):
    return frames.WindowUpdateFrame(stream, window_increment=by).serialize()
