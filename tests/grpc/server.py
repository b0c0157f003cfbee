"""A gRPC server without a schema: messages are bytes. Says its port, then every call that was cancelled."""

import sys
import threading
import time
from concurrent import futures

import grpc


def unary(request, context):
    context.set_trailing_metadata((("x-sum", str(len(request))),))
    return request


def metadata(request, context):
    """Sends back what it was sent, before the answer and behind it."""
    own = [it for it in context.invocation_metadata() if it.key in ("x-long", "x-raw-bin", "x-many")]
    context.send_initial_metadata(own)
    context.set_trailing_metadata(own)
    return str(len(own)).encode()


def count(request, context):
    for number in range(int(request)):
        yield str(number).encode()


def collect(requests, context):
    return b"".join(requests)


def chat(requests, context):
    for request in requests:
        yield b"heard " + request


def fail(request, context):
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, request.decode())


def slow(request, context):
    ended = threading.Event()
    context.add_callback(ended.set)
    ended.wait(20)
    print("cancelled", flush=True)
    return b""


HANDLERS = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "Metadata": grpc.unary_unary_rpc_method_handler(metadata),
    "Count": grpc.unary_stream_rpc_method_handler(count),
    "Collect": grpc.stream_unary_rpc_method_handler(collect),
    "Chat": grpc.stream_stream_rpc_method_handler(chat),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
    "Slow": grpc.unary_unary_rpc_method_handler(slow),
}

server = grpc.server(futures.ThreadPoolExecutor(16))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Shop", HANDLERS),))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(port, flush=True)
sys.stdin.read()
server.stop(None)
time.sleep(0.1)
