"""Makes every kind of call through the gate and says what came of it, one line each."""

import sys
import threading
import time

import grpc

channel = grpc.insecure_channel(sys.argv[1])
ready = grpc.channel_ready_future(channel)
ready.result(10)


def method(kind, name):
    return getattr(channel, kind)("/test.Shop/" + name)


def status(call):
    try:
        call()
    except grpc.RpcError as error:
        return f"{error.code().name} {error.details()}"
    return "OK"


def say(*words):
    print(*words, flush=True)


for name in sys.argv[2:]:
    if name == "unary":
        answer, call = method("unary_unary", "Unary").with_call(b"hello", timeout=10)
        say("unary", answer.decode(), call.code().name, dict(call.trailing_metadata())["x-sum"])
    elif name == "large":
        answer = method("unary_unary", "Unary")(b"x" * 3_000_000, timeout=10)
        say("large", len(answer))
    elif name == "count":
        say("count", sum(1 for _ in method("unary_stream", "Count")(b"500", timeout=10)))
    elif name == "collect":
        parts = (bytes([byte]) * 1000 for byte in range(200))
        say("collect", len(method("stream_unary", "Collect")(parts, timeout=10)))
    elif name == "chat":
        # The next message is only said when the last was answered, and the end only when all were.
        turn, heard = threading.Semaphore(1), []

        def says():
            for number in range(5):
                turn.acquire()
                yield str(number).encode()
            turn.acquire()

        for answer in method("stream_stream", "Chat")(says(), timeout=10):
            heard.append(answer.decode())
            turn.release()
        say("chat", ",".join(heard))
    elif name == "fail":
        say("fail", status(lambda: method("unary_unary", "Fail")(b"not now", timeout=10)))
    elif name == "unknown":
        say("unknown", status(lambda: method("unary_unary", "Nothing")(b"", timeout=10)))
    elif name == "deadline":
        began = time.monotonic()
        said = status(lambda: method("unary_unary", "Slow")(b"", timeout=0.5))
        say("deadline", said.split()[0], "in time" if time.monotonic() - began < 3 else "late")
    elif name == "cancel":
        future = method("unary_unary", "Slow").future(b"", timeout=10)
        time.sleep(0.3)
        future.cancel()
        say("cancel", future.code().name)
    elif name == "many":
        calls = [method("unary_unary", "Unary").future(str(it).encode(), timeout=10) for it in range(200)]
        say("many", sum(int(it.result()) for it in calls))
    elif name == "steady":
        # A stream that is told to go on and to end, and calls beside it; each line that is read asks for more of them.
        ends, failed, got = threading.Event(), 0, []

        def asks():
            number = 0
            while not ends.is_set():
                yield str(number).encode()
                number += 1
                time.sleep(0.005)

        def reads(stream=method("stream_stream", "Chat")(asks(), timeout=60)):
            try:
                got.extend(answer.decode() for answer in stream)
            except grpc.RpcError as error:
                got.append(error.code().name)

        reader = threading.Thread(target=reads)
        reader.start()
        said = status(lambda: method("unary_unary", "Unary")(b"hello", timeout=10))
        say("steady", "begun" if said == "OK" else said)
        for number in range(3):
            sys.stdin.readline()
            for _ in range(50):
                said = status(lambda: method("unary_unary", "Unary")(b"hello", timeout=10))
                failed += said != "OK"
                if said != "OK":
                    print(said, file=sys.stderr)
            if number < 2:
                say("steady on")
        ends.set()
        reader.join()
        missed = sum(1 for number, it in enumerate(got) if it != f"heard {number}") + (not got)
        say("steady", "failed", failed, "missed", missed)
    elif name == "endless":
        waits = threading.Event()

        def never():
            yield b"first"
            waits.wait(60)

        stream = method("stream_stream", "Chat")(never(), timeout=60)
        next(stream)
        say("endless begun")
        said = status(lambda: next(stream))
        say("endless", said.split()[0])
        waits.set()
        said = status(lambda: method("unary_unary", "Unary")(b"hello", timeout=10))
        say("endless", "again" if said == "OK" else said)
    elif name == "metadata":
        # Bytes are carried in base64, and a name may come several times.
        sent = [("x-long", "m" * 6_000), ("x-raw-bin", bytes(range(256))), ("x-many", "a"), ("x-many", "b")]
        answer, call = method("unary_unary", "Metadata").with_call(b"", metadata=sent, timeout=10)
        first, last = call.initial_metadata(), call.trailing_metadata()
        same = [[it for it in came if it[0] in dict(sent)] == sent for came in (first, last)]
        say("metadata", answer.decode(), *same)
    elif name == "down":
        say("down", status(lambda: method("unary_unary", "Unary")(b"", timeout=10)))
channel.close()
