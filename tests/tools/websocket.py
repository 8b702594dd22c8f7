"""WebSocket frame by frame: `websocket.py serve`, or `websocket.py DIRECT THROUGH` with two addresses.

The second runs every case against the server itself and through the proxy, and prints those that differ as JSON. The
server is the `websockets` library's and echoes; the client is only bytes, as most cases are wrong on purpose. Cases are
those of the usual conformance suites: framing, pings, reserved bits, opcodes, fragments, UTF-8, closing, sizes.
"""

import asyncio
import base64
import hashlib
import json
import os
import socket
import struct
import sys
import threading

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MASK = b"\x11\x22\x33\x44"


def frame(opcode, payload=b"", fin=True, rsv=0, masked=True, length=None):
    size = len(payload) if length is None else length
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    bit = 0x80 if masked else 0
    if size < 126:
        head += bytes([bit | size])
    elif size < 1 << 16:
        head += bytes([bit | 126]) + struct.pack(">H", size)
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", size)
    if not masked:
        return head + payload
    key = int.from_bytes(MASK * (len(payload) // 4 + 1), "big") >> 8 * (4 - len(payload) % 4)
    body = (int.from_bytes(payload, "big") ^ key).to_bytes(len(payload), "big") if payload else b""
    return head + MASK + body


def close(code=1000, reason=b""):
    return frame(CLOSE, struct.pack(">H", code) + reason)


def cases():
    """Name, steps, and in pieces of how many bytes each is sent (0: at once). A step is bytes and the number of frames
    that must have come before the next one: the server may close before it has echoed what came together with a fault."""
    for name, begin, frames, wrong, piece in told():
        yield name, [(begin, frames), (wrong, 0)] if begin else [(wrong, 0)], piece


def told():
    """Name, what is right and how many frames answer it, what comes then, and the pieces."""
    end = close()
    for opcode in (TEXT, BINARY):
        for size in (0, 1, 125, 126, 127, 128, 65535, 65536, 1 << 20, 8 << 20):
            yield f"{size} bytes of {opcode}", frame(opcode, b"*" * size), 1, end, 0
        yield f"pieces of {opcode}", frame(opcode, b"*" * 3000), 1, end, 1
        yield f"pieces of 997 of {opcode}", frame(opcode, b"*" * 200_000), 1, end, 997
    for size in (0, 1, 124, 125):
        yield f"ping of {size}", frame(PING, b"p" * size), 1, end, 0
        yield f"unasked pong of {size}", frame(PONG, b"p" * size), 0, end, 0
    yield "ping of 126", b"", 0, frame(PING, b"p" * 126) + end, 0
    yield "ten pings", b"".join(frame(PING, b"%d" % n) for n in range(10)), 10, end, 0
    yield "ten pings in pieces", b"".join(frame(PING, b"%d" % n) for n in range(10)), 10, end, 1
    for rsv in range(1, 8):
        yield f"reserved bits {rsv}", b"", 0, frame(TEXT, b"a", rsv=rsv) + end, 0
        yield f"reserved bits {rsv} of a ping", frame(TEXT, b"a"), 1, frame(PING, b"b", rsv=rsv) + end, 0
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        yield f"opcode {opcode}", frame(TEXT, b"a"), 1, frame(opcode, b"b") + end, 0
    yield "unmasked", b"", 0, frame(TEXT, b"a", masked=False) + end, 0
    yield "two fragments", frame(TEXT, b"a", fin=False) + frame(CONT, b"b"), 1, end, 0
    yield "ping between fragments", frame(TEXT, b"a", fin=False) + frame(PING, b"p") + frame(CONT, b"b"), 2, end, 0
    yield "fragmented ping", b"", 0, frame(PING, b"a", fin=False) + frame(CONT, b"b") + end, 0
    yield "fragment of nothing", b"", 0, frame(CONT, b"a") + end, 0
    yield "text between fragments", b"", 0, frame(TEXT, b"a", fin=False) + frame(TEXT, b"b") + end, 0
    many = frame(TEXT, b"a", fin=False) + frame(CONT, b"b", fin=False) * 1000 + frame(CONT)
    yield "a thousand fragments", many, 1, end, 0
    yield "empty fragments", frame(TEXT, fin=False) + frame(CONT, fin=False) + frame(CONT), 1, end, 0
    texts = ["Hello-µ@ßöäüàá-UTF-8!!", "κόσμε", "\U0010ffff\U00010000\ufffd", "\0\x7f\x80\u07ff\u0800\uffff"]
    for number, text in enumerate(texts):
        data = text.encode()
        yield f"text {number}", frame(TEXT, data), 1, end, 0
        parts = [data[at:at + 1] for at in range(len(data))]
        split = frame(TEXT, fin=False) + b"".join(frame(CONT, part, fin=False) for part in parts) + frame(CONT)
        yield f"text {number} in fragments of a byte", split, 1, end, 0
    wrong = [b"\xce\xba\xed\xa0\x80e", b"\xf4\x90\x80\x80", b"\xc0\xaf", b"\x80", b"\xff", b"\xce", b"\xed\xbf\xbf", b"a\xf8\x88b"]
    for data in wrong:
        yield f"text that is none: {data.hex()}", b"", 0, frame(TEXT, data) + end, 0
        split = frame(TEXT, data[:1], fin=False) + frame(CONT, data[1:])
        yield f"text that is none in fragments: {data.hex()}", b"", 0, split + end, 0
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999):
        yield f"close {code}", b"", 0, close(code, b"why"), 0
    for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535):
        yield f"close {code} that may not be", b"", 0, close(code), 0
    yield "close without a code", b"", 0, frame(CLOSE), 0
    yield "close with half a code", b"", 0, frame(CLOSE, b"\x03"), 0
    yield "close with the longest reason", b"", 0, close(1000, b"r" * 123), 0
    yield "close with too long a reason", b"", 0, close(1000, b"r" * 124), 0
    yield "close with a reason that is no text", b"", 0, close(1000, b"\xce\xba\xed"), 0
    yield "close twice", b"", 0, end + end, 0
    yield "text behind the close", b"", 0, end + frame(TEXT, b"late"), 0
    yield "a thousand messages", frame(TEXT, b"m" * 100) * 1000, 1000, end, 0
    yield "a thousand messages in pieces of 13", frame(BINARY, b"m" * 20) * 1000, 1000, end, 13
    yield "larger than the server takes", b"", 0, frame(BINARY, b"x" * (17 << 20)) + end, 0
    yield "length beyond all lengths", b"", 0, frame(BINARY, b"", length=(1 << 63) + 5), 0
    yield "gone without a close", frame(TEXT, b"a"), 1, b"", 0
    yield "gone inside a frame", b"", 0, frame(TEXT, b"a" * 50)[:20], 0
    yield "no frame at all", b"", 0, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 0


def handshake(address, more=""):
    host, port = address.rsplit(":", 1)
    sock = socket.create_connection((host, int(port)), timeout=30)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    key = base64.b64encode(os.urandom(16)).decode()
    sock.sendall(
        f"GET /chat HTTP/1.1\r\nHost: ws.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{more}\r\n".encode()
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = sock.recv(1)
        if not byte:
            break
        head += byte
    accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
    lines = head.lower().split(b"\r\n")
    is_right = head.startswith(b"HTTP/1.1 101 ") and b"sec-websocket-accept: " + accept.lower() in lines
    return sock, is_right, sorted(line.decode() for line in lines if line.startswith(b"sec-websocket-") and b"accept" not in line)


def transcript(address, steps, piece):
    """What comes back until the end, frame by frame."""
    sock, is_right, _ = handshake(address)
    if not is_right:
        return ["no handshake"]
    got = bytearray()
    came = threading.Condition()
    over = []

    def read():
        end = "end"
        try:
            while data := sock.recv(1 << 20):
                with came:
                    got.extend(data)
                    came.notify()
        except ConnectionResetError:
            # The server closed with bytes of ours unread, which the kernel may tell or not.
            pass
        except TimeoutError:
            end = "nothing for 30 s"
        with came:
            over.append(end)
            came.notify()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        frames = 0
        for sent, awaited in steps:
            step = piece or len(sent) or 1
            for at in range(0, len(sent), step):
                sock.sendall(sent[at:at + step])
            frames += awaited
            with came:
                came.wait_for(lambda: over or whole(got, frames), 30)
        sock.shutdown(socket.SHUT_WR)
    except OSError:
        pass
    reader.join()
    sock.close()
    return [*unframed(bytes(got)), *over]


def whole(got, number):
    """Whether that many frames are there."""
    at = 0
    while number and len(got) - at >= 2:
        size, begin = measured(got, at)
        at = begin + size
        number -= at <= len(got)
        if at > len(got):
            return False
    return number == 0


def measured(got, at):
    """The size of a frame's payload and where it begins."""
    size = got[at + 1] & 127
    if size == 126:
        return int.from_bytes(got[at + 2:at + 4], "big"), at + 4
    if size == 127:
        return int.from_bytes(got[at + 2:at + 10], "big"), at + 10
    return size, at + 2


def unframed(got):
    at = 0
    while len(got) - at >= 2:
        size, begin = measured(got, at)
        payload = got[begin:begin + size]
        shown = payload.hex() if size < 40 else hashlib.sha256(payload).hexdigest()
        yield f"{got[at]:02x} {len(payload)} of {size}: {shown}"
        at = begin + size


async def serve():
    import logging

    from websockets.asyncio.server import serve as listen

    logging.getLogger("websockets").setLevel(logging.CRITICAL)

    async def echo(connection):
        async for message in connection:
            await connection.send(message)

    def choose(_, offered):
        return "chat" if "chat" in offered else None

    async with listen(echo, "127.0.0.1", 0, max_size=16 << 20, select_subprotocol=choose, ping_interval=None) as server:
        print("listening", server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()


def handshakes(address):
    """What of the handshake is passed on: the subprotocol and the extension that both know, and what none does."""
    found = []
    for more in ("", "Sec-WebSocket-Protocol: other, chat\r\n", "Sec-WebSocket-Extensions: permessage-deflate\r\n", "Origin: http://x.test\r\n"):
        sock, is_right, headers = handshake(address, more)
        sock.close()
        found.append([more, is_right, headers])
    return found


def many(address):
    """50 connections at once, each with 20 messages that wait for their echo."""
    def talk(number, wrong):
        try:
            sock, is_right, _ = handshake(address)
            for turn in range(20):
                message = f"{number}-{turn}".encode()
                sock.sendall(frame(TEXT, message))
                got = b""
                while len(got) < len(message) + 2:
                    if not (part := sock.recv(100)):
                        raise OSError("ended")
                    got += part
                if not is_right or got != bytes([0x81, len(message)]) + message:
                    wrong.append(message.decode())
            sock.close()
        except OSError as error:
            wrong.append(repr(error))

    wrong = []
    threads = [threading.Thread(target=talk, args=(number, wrong)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        asyncio.run(serve())
    else:
        direct, through = sys.argv[1:]
        found = {"cases": 0, "frames": 0, "differ": [], "handshakes": [handshakes(direct), handshakes(through)], "many": many(through)}
        for name, steps, piece in cases():
            found["cases"] += 1
            found["frames"] += steps[0][1]
            expected, got = transcript(direct, steps, piece), transcript(through, steps, piece)
            if expected != got or len(got) <= steps[0][1]:
                found["differ"].append([name, expected[-3:], got[-3:]])
        print(json.dumps(found))
