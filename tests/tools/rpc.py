"""gRPC by its own library: `rpc.py serve`, or `rpc.py ADDRESS [CERTIFICATE]` for calls of every kind.

No generated code: messages are bytes. The second prints what failed as JSON.
"""

import json
import sys
import threading
import time
from concurrent import futures

import grpc

LARGE = 3 << 20


class Calls(grpc.GenericRpcHandler):
    def service(self, details):
        name = details.method.rsplit("/", 1)[1]
        kinds = {
            "Echo": grpc.unary_unary_rpc_method_handler(self.echo),
            "Fail": grpc.unary_unary_rpc_method_handler(self.fail),
            "Sleep": grpc.unary_unary_rpc_method_handler(self.sleep),
            "Count": grpc.unary_stream_rpc_method_handler(self.count),
            "Sum": grpc.stream_unary_rpc_method_handler(self.sum),
            "Talk": grpc.stream_stream_rpc_method_handler(self.talk),
            "Broken": grpc.unary_stream_rpc_method_handler(self.broken),
            "Cancelled": grpc.unary_unary_rpc_method_handler(self.cancelled),
        }
        return kinds.get(name)

    def __init__(self):
        self.waiting = 0
        self.gone = 0

    def echo(self, request, context):
        given = dict(context.invocation_metadata())
        context.send_initial_metadata([("x-seen", given.get("x-given", "")), ("x-seen-bin", given.get("x-given-bin", b""))])
        context.set_trailing_metadata([("x-after", "trailer"), ("x-after-bin", b"\x00\xff")])
        return request

    def fail(self, request, context):
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not ümöglich %")

    def sleep(self, request, context):
        time.sleep(float(request))
        return b"slept"

    def count(self, request, context):
        for number in range(int(request)):
            yield b"%d" % number

    def broken(self, request, context):
        yield b"first"
        context.abort(grpc.StatusCode.DATA_LOSS, "after the first")

    def sum(self, requests, context):
        return b"%d" % sum(len(request) for request in requests)

    def talk(self, requests, context):
        for request in requests:
            yield request[::-1]

    def cancelled(self, request, context):
        if request:
            return b"%d" % getattr(self, request.decode())
        done = threading.Event()
        context.add_callback(done.set)
        self.waiting += 1
        done.wait(20)
        self.waiting -= 1
        self.gone += 1
        return b""


def serve():
    options = [("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)]
    server = grpc.server(futures.ThreadPoolExecutor(64), handlers=[Calls()], options=options)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print("listening", port, flush=True)
    server.wait_for_termination()


def status(call):
    try:
        call()
    except grpc.RpcError as error:
        return [error.code().name, error.details()]
    return ["OK", ""]


def unary(channel):
    call = channel.unary_unary("/tools.Calls/Echo")
    answer, done = call.with_call(b"hello", metadata=[("x-given", "value"), ("x-given-bin", b"\x01\x02")], timeout=20)
    after = dict(done.trailing_metadata())
    assert answer == b"hello"
    before = dict(done.initial_metadata())
    assert before["x-seen"] == "value" and before["x-seen-bin"] == b"\x01\x02", before
    assert after["x-after"] == "trailer" and after["x-after-bin"] == b"\x00\xff", after


def empty_and_large(channel):
    for size in (0, 1, 16384, 65535, LARGE):
        message = bytes(range(256)) * (size // 256 + 1)
        assert channel.unary_unary("/tools.Calls/Echo")(message[:size], timeout=20) == message[:size], size


def failing(channel):
    call = channel.unary_unary("/tools.Calls/Fail")
    assert status(lambda: call(b"", timeout=20)) == ["FAILED_PRECONDITION", "not ümöglich %"]


def unknown(channel):
    call = channel.unary_unary("/tools.Calls/Unknown")
    assert status(lambda: call(b"", timeout=20))[0] == "UNIMPLEMENTED"


def late(channel):
    call = channel.unary_unary("/tools.Calls/Sleep")
    assert status(lambda: call(b"3", timeout=0.3))[0] == "DEADLINE_EXCEEDED"


def server_streaming(channel):
    got = list(channel.unary_stream("/tools.Calls/Count")(b"5000", timeout=60))
    assert got == [b"%d" % number for number in range(5000)], len(got)


def broken_streaming(channel):
    got = []
    found = status(lambda: got.extend(iter(channel.unary_stream("/tools.Calls/Broken")(b"", timeout=20))))
    assert found == ["DATA_LOSS", "after the first"], found


def client_streaming(channel):
    sent = (bytes(1000) for _ in range(2000))
    assert channel.stream_unary("/tools.Calls/Sum")(sent, timeout=60) == b"2000000"


def talking(channel):
    """Each message is sent when the answer to the one before has come: nothing may be held back."""
    turn = threading.Semaphore(1)

    def sent():
        for number in range(500):
            turn.acquire(timeout=20)
            yield b"message %d" % number

    got = []
    for answer in channel.stream_stream("/tools.Calls/Talk")(sent(), timeout=60):
        got.append(answer[::-1])
        turn.release()
    assert got == [b"message %d" % number for number in range(500)], len(got)


def cancelling(channel):
    """The server gets to know that the client went."""
    call = channel.unary_unary("/tools.Calls/Cancelled")

    def reach(what, number):
        until = time.monotonic() + 10
        while int(call(what, timeout=20)) != number:
            assert time.monotonic() < until, f"{what} never is {number}"
            time.sleep(0.02)

    before = int(call(b"gone", timeout=20))
    calls = [call.future(b"", timeout=20) for _ in range(3)]
    reach(b"waiting", 3)
    for one in calls:
        one.cancel()
    reach(b"gone", before + 3)


def at_once(channel):
    """More calls at once than the connection may have streams: they wait for each other."""
    call = channel.unary_unary("/tools.Calls/Echo")
    calls = [call.future(b"%d" % number, timeout=60) for number in range(500)]
    assert [one.result() for one in calls] == [b"%d" % number for number in range(500)]


CALLS = [
    unary, empty_and_large, failing, unknown, late, server_streaming, broken_streaming, client_streaming, talking,
    cancelling, at_once,
]


def main(address, certificate=None):
    options = [("grpc.max_receive_message_length", -1), ("grpc.ssl_target_name_override", "tools.test")]
    if certificate:
        with open(certificate, "rb") as file:
            channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(file.read()), options=options)
    else:
        channel = grpc.insecure_channel(address, options=options[:1])
    failed = {}
    for call in CALLS:
        try:
            call(channel)
        except (AssertionError, grpc.RpcError) as error:
            failed[call.__name__] = repr(error)
    channel.close()
    print(json.dumps(failed))


if __name__ == "__main__":
    serve() if sys.argv[1] == "serve" else main(*sys.argv[1:])
