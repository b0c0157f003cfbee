"""An endpoint that breaks the rules of HTTP/2 by the path that it is asked for, or already when it is greeted.

Usage: server.py [GREETING]. Says its port. `/fine` is answered with the number of its connection, and `/seen/NAME`
with what the proxy has said about `/NAME`: the code of a RST_STREAM or of a GOAWAY.
"""

import itertools
import socket
import sys
import threading

from hyperframe.frame import (
    AltSvcFrame,
    ContinuationFrame,
    DataFrame,
    ExtensionFrame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from wire import INTERNAL, NO_ERROR, PREFACE, REFUSED, Connection, on, with_body

GREETING = sys.argv[1] if len(sys.argv) > 1 else ""
BIG = 2**31 - 1
SEEN, OPENED = {}, itertools.count(1)
FAULTS = {}
OK = [(":status", "200")]


def fault(name):
    def add(script):
        FAULTS[name] = script
        return script

    return add


def heads(**lists):
    """Answers that are nothing but a head, of these fields."""
    for name, fields in lists.items():
        FAULTS[name] = lambda it, at, fields=fields: it.send(it.head(at, fields))


def frames(**makers):
    """Answers of these frames."""
    for name, make in makers.items():
        FAULTS[name] = lambda it, at, make=make: it.send(*make(it, at))


def data(at, content=b"hello", end=True, **more):
    flags = [*(["END_STREAM"] if end else []), *(["PADDED"] if more else [])]
    return DataFrame(at, data=content, flags=flags, **more)


def begin(it, at, more=()):
    return it.head(at, [*OK, *more], end=False)


def part(head, size):
    """A head in parts of this size."""
    whole = head.data
    head.data = whole[:size]
    head.flags.discard("END_HEADERS")
    rest = [
        ContinuationFrame(at, data=whole[n : n + size])
        for at in [head.stream_id]
        for n in range(size, len(whole), size)
    ]
    return [head, *rest, ContinuationFrame(head.stream_id, flags=["END_HEADERS"])]


def extension(kind, stream, body=b"whatever"):
    it = ExtensionFrame(kind, stream, 0xFF)
    it.parse_body(memoryview(body))
    return it


def interim(it, at, end=False):
    return it.head(at, [(":status", "103"), ("link", "</a>")], end=end)


heads(
    no_status=[("x", "y")],
    two_statuses=OK + OK,
    short_status=[(":status", "20")],
    long_status=[(":status", "2000")],
    word_status=[(":status", "abc")],
    switching=[(":status", "101")],
    upper_case=OK + [("X-Up", "y")],
    connection_line=OK + [("connection", "close")],
    transfer_coding=OK + [("transfer-encoding", "chunked")],
    line_end=OK + [("x", "a\r\nb: c")],
    nul=OK + [("x", "a\0b")],
    no_name=OK + [("", "b")],
    unknown_pseudo=OK + [(":x", "y")],
    path_pseudo=OK + [(":path", "/")],
    late_status=[("x", "y")] + OK,
    many_lines=OK + [(f"x-{n}", "y") for n in range(150)],
    length_alone=OK + [("content-length", "5")],
    two_lengths=OK + [("content-length", "0"), ("content-length", "1")],
    interim_ends=[(":status", "103")],
)

frames(
    data_first=lambda it, at: [data(at)],
    large_head=lambda it, at: part(it.head(at, OK + [(f"x-{n}", "y" * 3_000) for n in range(30)]), 16_000),
    length_short=lambda it, at: [begin(it, at, [("content-length", "10")]), data(at)],
    length_long=lambda it, at: [begin(it, at, [("content-length", "3")]), data(at)],
    trailers_pseudo=lambda it, at: [begin(it, at), data(at, end=False), it.head(at, [(":status", "200")])],
    trailers_open=lambda it, at: [begin(it, at), data(at, end=False), it.head(at, [("x", "y")], end=False)],
    trailers_upper=lambda it, at: [begin(it, at), data(at, end=False), it.head(at, [("X", "y")])],
    window_of_nothing=lambda it, at: [with_body(WindowUpdateFrame(at), bytes(4))],
    window_overflow=lambda it, at: [WindowUpdateFrame(at, window_increment=BIG)],
    too_much=lambda it, at: [begin(it, at), *[data(at, b"x" * 16_384, False)] * 100],
    interim_some=lambda it, at: [interim(it, at) for _ in range(8)] + [begin(it, at), data(at)],
    interim_many=lambda it, at: [interim(it, at) for _ in range(9)] + [begin(it, at), data(at)],
    # The connection is over.
    promise=lambda it, at: [
        PushPromiseFrame(at, promised_stream_id=2, data=it.encoder.encode(OK), flags=["END_HEADERS"])
    ],
    push=lambda it, at: [SettingsFrame(0, settings={2: 1})],
    garbled=lambda it, at: [
        HeadersFrame(at, data=b"\x88\xff\xff\xff\xff\xff\xff", flags=["END_HEADERS", "END_STREAM"])
    ],
    index_beyond=lambda it, at: [HeadersFrame(at, data=b"\x88\xfe", flags=["END_HEADERS", "END_STREAM"])],
    table_too_large=lambda it, at: [
        HeadersFrame(at, data=b"\x3f\xe2\x1f\x88", flags=["END_HEADERS", "END_STREAM"])
    ],
    connection_window_of_nothing=lambda it, at: [with_body(WindowUpdateFrame(0), bytes(4))],
    connection_window_overflow=lambda it, at: [WindowUpdateFrame(0, window_increment=BIG)],
    settings_overflow=lambda it, at: [SettingsFrame(0, settings={4: 2**31})],
    even=lambda it, at: [it.head(2, OK)],
    idle=lambda it, at: [it.head(at + 100, OK)],
    idle_reset=lambda it, at: [RstStreamFrame(at + 100)],
    idle_data=lambda it, at: [data(at + 100)],
    stream_0=lambda it, at: [on(it.head(at, OK), 0)],
    large_frame=lambda it, at: [begin(it, at), data(at, b"x" * 16_385)],
    short_ping=lambda it, at: [with_body(PingFrame(0), b"1234567")],
    settings_of_5=lambda it, at: [with_body(SettingsFrame(0), b"12345")],
    between_parts=lambda it, at: [part(begin(it, at), 1)[0], data(at)],
    padding=lambda it, at: [begin(it, at), with_body(DataFrame(at, flags=["PADDED"]), b"\x09abc")],
    # Odd, and right.
    padded=lambda it, at: [
        begin(it, at, [("content-length", "5")]),
        data(at, b"he", False, pad_length=255),
        data(at, b"", False, pad_length=9),
        data(at, b"llo"),
    ],
    parts=lambda it, at: [*part(begin(it, at, [("x-long", "y" * 500)]), 20), data(at)],
    unknown=lambda it, at: [
        extension(0x77, at),
        AltSvcFrame(at, origin=b"", field=b'h3=":443"'),
        extension(0xC, 0),
        begin(it, at),
        data(at),
    ],
    between=lambda it, at: [
        begin(it, at),
        PingFrame(0, opaque_data=b"12345678"),
        SettingsFrame(0, settings={1: 0, 6: 100, 99: 1}),
        data(at, b"hel", False),
        WindowUpdateFrame(at, window_increment=5),
        data(at, b"lo"),
    ],
    after_the_end=lambda it, at: [
        begin(it, at),
        data(at),
        data(at),
        WindowUpdateFrame(at, window_increment=1),
    ],
    reset_after_the_end=lambda it, at: [begin(it, at), data(at), RstStreamFrame(at, error_code=NO_ERROR)],
    no_content=lambda it, at: [it.head(at, [(":status", "204")], end=False), data(at)],
    empty_frames=lambda it, at: [begin(it, at), *[data(at, b"", False)] * 100, data(at)],
    trailers=lambda it, at: [begin(it, at), data(at, end=False), it.head(at, [("x-sum", "7")])],
    goaway_mid=lambda it, at: [begin(it, at), GoAwayFrame(0, last_stream_id=at), data(at)],
)

for code in (0, 1, 2, 8, 11, 255):
    FAULTS[f"reset_{code}"] = lambda it, at, code=code: it.reset(at, code)
    FAULTS[f"half_reset_{code}"] = lambda it, at, code=code: it.send(
        begin(it, at), data(at, end=False)
    ).reset(at, code)


@fault("refuse")
def _(it, at):
    it.reset(at, REFUSED)


@fault("goaway_error")
def _(it, at):
    it.send(begin(it, at), data(at, end=False)).goaway(at, INTERNAL)
    it.sock.shutdown(socket.SHUT_RDWR)


@fault("half_a_frame")
def _(it, at):
    it.send(begin(it, at)).raw(data(at).serialize()[:11])
    it.sock.shutdown(socket.SHUT_RDWR)


def endless(it, first, again):
    it.send(*first)
    many = again.serialize() * 100
    for _ in range(5_000):
        if not it.raw(many):
            break
        while it.next(0) is not None:
            pass
        if it.came.closed or it.came.goaways or it.came.resets:
            break


@fault("endless_parts")
def _(it, at):
    endless(it, [part(begin(it, at), 1)[0]], ContinuationFrame(at, data=b""))


@fault("endless_interim")
def _(it, at):
    it.encoder.header_table_size = 0
    endless(it, [interim(it, at)], interim(it, at))


@fault("endless_content")
def _(it, at):
    endless(it, [begin(it, at)], data(at, b"", False))


@fault("shrinking")
def _(it, at):
    """Takes content by little, and takes back what it has allowed."""
    it.generous = False
    for window in (0, 10, 0):
        it.send(SettingsFrame(0, settings={4: window}))
    while at not in it.came.ended:
        it.window(0, 2_000).window(at, 2_000)
        before = len(it.came.body.get(at, b""))
        it.until(lambda came: at in came.ended or len(came.body.get(at, b"")) > before, 0.01)
    it.send(
        SettingsFrame(0, settings={4: 65_535}),
        begin(it, at),
        data(at, b"got %d" % len(it.came.body.get(at, b""))),
    )
    it.generous = True


@fault("early")
def _(it, at):
    """Answers before the content is there, and says that it needs none of it (RFC 9113 section 8.1)."""
    it.send(begin(it, at, [("content-length", "5")]), data(at)).reset(at, NO_ERROR)


@fault("repeated")
def _(it, at):
    """Fields that are found again in the table, and some that leave it."""
    it.send(it.head(at, [*OK, ("x-long", f"{at % 8} " + "y" * 600), ("x-same", "same")], end=False), data(at))


WAITING = []


def answer(it, number, at, path):
    name = path[1:]
    if path == "/fine":
        it.send(begin(it, at), data(at, str(number).encode()))
    elif path == "/slow":
        WAITING.append((it, at))
    elif path == "/go":
        it.send(begin(it, at), data(at, b"gone"))
        while WAITING:
            other, stream = WAITING.pop()
            other.send(begin(other, stream), data(stream, b"slow"))
    elif path.startswith("/seen/"):
        it.send(begin(it, at), data(at, SEEN.get(path[6:], "nothing").encode()))
    else:
        it.path, it.at = name, at
        FAULTS[name](it, at)


def greet(it):
    """Says hello; whether that was all of it."""
    strange = {
        "push": [SettingsFrame(0, settings={2: 1})],
        "acknowledges": [SettingsFrame(0, flags=["ACK"])],
        "window": [SettingsFrame(0, settings={4: 2**31})],
        "small_frames": [SettingsFrame(0, settings={5: 1})],
        "ping": [PingFrame(0)],
        "goaway": [SettingsFrame(0), GoAwayFrame(0, last_stream_id=0)],
        "large": [with_body(SettingsFrame(0), bytes(16_386))],
    }
    if GREETING in strange:
        it.send(*strange[GREETING])
    elif GREETING == "http1":
        it.raw(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
    elif GREETING == "garbage":
        it.raw(bytes(range(256)) * 8)
    elif GREETING == "close":
        it.sock.shutdown(socket.SHUT_RDWR)
    else:
        streams = {3: 0} if GREETING == "no_streams" else {}
        it.send(SettingsFrame(0, settings=streams))


def serve(sock, number):
    it = Connection(sock)
    it.path, it.at = "", 0
    greeted = b""
    while len(greeted) < len(PREFACE):
        more = sock.recv(len(PREFACE) - len(greeted))
        if not more:
            return
        greeted += more
    greet(it)
    if GREETING == "no_streams":
        print("opened", flush=True)
    noted = set()
    while (frame := it.next(600)) is not None:
        if isinstance(frame, RstStreamFrame) and frame.stream_id == it.at:
            SEEN[it.path] = f"reset {frame.error_code}"
        elif isinstance(frame, GoAwayFrame):
            SEEN[it.path] = f"goaway {frame.error_code}"
        stream = frame.stream_id
        if stream in it.came.fields and stream not in noted:
            noted.add(stream)
            if GREETING == "no_streams":
                it.reset(stream, REFUSED)
            elif not GREETING:
                answer(it, number, stream, dict(it.came.fields[stream])[":path"])
            # A fault may have heard the end itself.
            if it.came.resets.get(stream) is not None:
                SEEN[it.path] = f"reset {it.came.resets[stream]}"
            if it.came.goaways:
                SEEN[it.path] = f"goaway {it.came.goaways[-1][0]}"


def main():
    listener = socket.create_server(("127.0.0.1", 0), backlog=100)
    print(listener.getsockname()[1], flush=True)
    threading.Thread(
        target=lambda: (sys.stdin.read(), sys.stdout.flush(), listener.close()), daemon=True
    ).start()
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=serve, args=(sock, next(OPENED)), daemon=True).start()


main()
