"""Each kind of frame (RFC 9113 sections 6 and 7)."""

from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    GoAwayFrame,
    PingFrame,
    PriorityFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from table import BIG, answered, broken, closed, data, depends, frame, lives, reset, row, split
from wire import FLOW, NO_ERROR, PROTOCOL, SIZE, on, with_body

# --- 6.1 to 6.4

frame("9113 6.1 DATA of stream 0", broken(PROTOCOL), lambda it: [on(data(1), 0)])
frame(
    "9113 6.1 more padding than frame",
    broken(PROTOCOL),
    lambda it: [
        it.head(1, it.fields("POST"), end=False),
        with_body(DataFrame(1, flags=["PADDED", "END_STREAM"]), b"\x06abc"),
    ],
)
frame(
    "9113 6.1 padding and no frame",
    broken(PROTOCOL, SIZE),
    lambda it: [
        it.head(1, it.fields("POST"), end=False),
        with_body(DataFrame(1, flags=["PADDED", "END_STREAM"]), b""),
    ],
)
frame(
    "9113 6.1 padding alone",
    answered(text="got 0"),
    lambda it: [
        it.head(1, it.fields("POST"), end=False),
        DataFrame(1, pad_length=200, flags=["PADDED", "END_STREAM"]),
    ],
)
frame(
    "9113 6.1 content with padding",
    answered(text="got 5"),
    lambda it: [
        it.head(1, it.fields("POST"), end=False),
        DataFrame(1, data=b"12345", pad_length=200, flags=["PADDED", "END_STREAM"]),
    ],
)
frame(
    "9113 6.2 more padding than head",
    broken(PROTOCOL),
    lambda it: [with_body(it.head(1, it.fields(), flags=["PADDED"]), b"\xc8\x82")],
)
frame(
    "9113 6.2 no room for the priority",
    broken(PROTOCOL, SIZE),
    lambda it: [with_body(it.head(1, it.fields(), flags=["PRIORITY"]), b"\0\0\0")],
)


@row("9113 6.2 a head with padding and a priority", answered())
def _(it):
    head = depends(it.head(1, it.fields(), flags=["PADDED", "PRIORITY"]), 0)
    head.pad_length = 255
    it.send(head)


frame("9113 6.3 PRIORITY of stream 0", broken(PROTOCOL), lambda it: [on(depends(PriorityFrame(1), 1), 0)])
frame(
    "9113 6.3 PRIORITY of a wrong length",
    reset(SIZE),
    lambda it: [it.head(1, it.fields(path="/held")), with_body(PriorityFrame(1), b"\0\0\0\0")],
)
frame("9113 6.4 RST_STREAM of stream 0", broken(PROTOCOL), lambda it: [on(RstStreamFrame(1), 0)])
frame(
    "9113 6.4 RST_STREAM of a wrong length",
    broken(SIZE),
    lambda it: [it.head(1, it.fields(path="/held")), with_body(RstStreamFrame(1), b"\0\0\0")],
)

# --- 6.5 settings

frame(
    "9113 6.5 an acknowledgement that says more",
    broken(SIZE),
    lambda it: [with_body(SettingsFrame(0, flags=["ACK"]), b"\0\0\0\0\0\0")],
)
frame(
    "9113 6.5 settings of a stream", broken(PROTOCOL), lambda it: [on(SettingsFrame(0, settings={4: 9}), 1)]
)
frame(
    "9113 6.5 settings of a wrong length", broken(SIZE), lambda it: [with_body(SettingsFrame(0), b"\0\4\0")]
)
for name, number, value, code in [
    ("ENABLE_PUSH of 2", 2, 2, PROTOCOL),
    ("a window above the largest", 4, 2**31, FLOW),
    ("frames below the least", 5, 16_383, PROTOCOL),
    ("frames above the largest", 5, 2**24, PROTOCOL),
    ("ENABLE_CONNECT_PROTOCOL of 2 (8441 3)", 8, 2, PROTOCOL),
]:
    frame(
        f"9113 6.5.2 {name}",
        broken(code),
        lambda it, number=number, value=value: [SettingsFrame(0, settings={number: value})],
    )
for name, number, value in [
    ("nobody knows it", 0xFF, 1),
    ("no pushes", 2, 0),
    ("no streams", 3, 0),
    ("the largest frames", 5, 2**24 - 1),
    ("no list at all", 6, 0),
    ("no table", 1, 0),
    ("the largest table", 1, 2**32 - 1),
]:
    frame(
        f"9113 6.5.2 {name}",
        answered(),
        lambda it, number=number, value=value: [
            SettingsFrame(0, settings={number: value}),
            it.head(1, it.fields()),
        ],
    )


@row("9113 6.5.3 the last value of several counts", answered())
def _(it):
    it.send(with_body(SettingsFrame(0), b"\0\4\0\0\0\0\0\4\0\0\0\x64")).get()


@row("9113 6.5.3 settings are acknowledged", lambda it: it.until(lambda came: came.acks == 2))
def _(it):
    it.send(SettingsFrame(0, settings={4: 1000}))


@row("9113 6.5.3 an acknowledgement of nothing", answered())
def _(it):
    it.send(SettingsFrame(0, flags=["ACK"])).get()


# --- 6.6 to 6.8


@row("9113 8.4 PUSH_PROMISE", broken(PROTOCOL))
def _(it):
    it.post()
    it.send(
        PushPromiseFrame(1, promised_stream_id=2, data=it.encoder.encode(it.fields()), flags=["END_HEADERS"])
    )


@row(
    "9113 6.7 a PING is answered with the same", lambda it: it.until(lambda came: came.pongs == [b"abcdefgh"])
)
def _(it):
    it.ping(b"abcdefgh")


@row("9113 6.7 an answer is not answered", lambda it: lives(it) and it.came.pongs == [b"still on"])
def _(it):
    it.send(PingFrame(0, opaque_data=b"whatever", flags=["ACK"]))


frame(
    "9113 6.7 a PING of a stream", broken(PROTOCOL), lambda it: [on(PingFrame(0, opaque_data=b"12345678"), 1)]
)
frame("9113 6.7 a PING of a wrong length", broken(SIZE), lambda it: [with_body(PingFrame(0), b"1234567")])
frame("9113 6.8 GOAWAY of a stream", broken(PROTOCOL), lambda it: [on(GoAwayFrame(0), 1)])
frame("9113 6.8 GOAWAY of a wrong length", broken(SIZE), lambda it: [with_body(GoAwayFrame(0), b"1234567")])


def ends_in_peace(text):
    """What is under way is answered, and then the connection ends without an error."""

    def judge(it):
        closed(it)
        return (
            it.came.closed
            and it.came.text(1) == text
            and all(code == NO_ERROR for code, _ in it.came.goaways)
        )

    return judge


@row("9113 6.8 GOAWAY while a request is under way", ends_in_peace("got 5"))
def _(it):
    it.post().goaway().send(data(1, b"12345", True))


@row("9113 6.8 GOAWAY twice, with words", ends_in_peace("hello"))
def _(it):
    it.get()
    it.send(GoAwayFrame(0, last_stream_id=BIG, additional_data=b"bye"), GoAwayFrame(0, last_stream_id=0))


# --- 6.9 windows

frame(
    "9113 6.9 no bytes for the connection",
    broken(PROTOCOL),
    lambda it: [with_body(WindowUpdateFrame(0), b"\0\0\0\0")],
)
frame(
    "9113 6.9 no bytes for a stream",
    reset(PROTOCOL),
    lambda it: [it.head(1, it.fields("POST"), end=False), with_body(WindowUpdateFrame(1), b"\0\0\0\0")],
)
frame(
    "9113 6.9 no bytes but the reserved bit",
    broken(PROTOCOL),
    lambda it: [with_body(WindowUpdateFrame(0), b"\x80\0\0\0")],
)
frame("9113 6.9 a wrong length", broken(SIZE), lambda it: [with_body(WindowUpdateFrame(0), b"\0\0\1")])
frame(
    "9113 6.9.1 too many for the connection",
    broken(FLOW),
    lambda it: [WindowUpdateFrame(0, window_increment=BIG)] * 2,
)
frame(
    "9113 6.9.1 too many for a stream",
    reset(FLOW),
    lambda it: [it.head(1, it.fields("POST"), end=False)] + [WindowUpdateFrame(1, window_increment=BIG)] * 2,
)


@row("9113 6.9.1 a window of one byte lets one byte pass", lambda it: one_byte(it), settings={4: 1})
def _(it):
    it.generous = False
    it.get()


def one_byte(it):
    it.until(lambda came: came.body.get(1))
    return lives(it) and it.came.text(1) == "h"


@row("9113 6.9.1 more content than the stream's window", lambda it: it.came.resets.get(1) == FLOW)
def _(it):
    # What is not taken is not given back: the version reads nothing. Until it is full, much is taken.
    it.post(path="/unread")
    for _ in range(1_000):
        if it.send(*[data(1, b"x" * 16_384)] * 4).until(lambda came: came.is_over(1), 0.001):
            break


@row("9113 6.9.2 a window that comes later", answered(), settings={4: 0})
def _(it):
    it.get().send(SettingsFrame(0, settings={4: 9}))


@row("9113 6.9.2 a window below nothing", answered(text="hello"), settings={4: 3})
def _(it):
    it.generous = False
    it.get()
    it.until(lambda came: came.text(1) == "hel")
    it.send(SettingsFrame(0, settings={4: 1})).window(1, 2)
    if lives(it) and it.came.text(1) == "hel":
        it.window(1, 2)


@row("9113 6.9.2 settings that make a window too large", broken(FLOW), settings={4: 0})
def _(it):
    it.post(path="/held").window(1, BIG).send(SettingsFrame(0, settings={4: 1}))


# --- 6.10


@row("9113 6.10 a head in many parts", answered(text="kept"))
def _(it):
    head = it.head(1, it.fields(more=[("x-echo", "kept")]))
    parts = [head.data[at : at + 3] for at in range(0, len(head.data), 3)]
    head.data = parts[0]
    head.flags.discard("END_HEADERS")
    it.send(
        head,
        *(ContinuationFrame(1, data=part) for part in parts[1:]),
        ContinuationFrame(1, flags=["END_HEADERS"]),
    )


@row("9113 6.10 CONTINUATION behind the end of a block", broken(PROTOCOL))
def _(it):
    it.send(
        *split(it.head(1, it.fields(path="/held"))), ContinuationFrame(1, data=b"\x82", flags=["END_HEADERS"])
    )


@row("9113 6.10 CONTINUATION of stream 0", broken(PROTOCOL))
def _(it):
    first, rest = split(it.head(1, it.fields()))
    it.send(first, on(rest, 0))


@row("9113 6.10 CONTINUATION behind a whole head", broken(PROTOCOL))
def _(it):
    it.post().send(ContinuationFrame(1, data=b"\x82", flags=["END_HEADERS"]))


@row("9113 6.10 CONTINUATION behind content", broken(PROTOCOL))
def _(it):
    it.post().send(data(1), ContinuationFrame(1, data=b"\x82", flags=["END_HEADERS"]))


# --- 7 codes


@row("9113 7 GOAWAY with an unknown code", ends_in_peace("hello"))
def _(it):
    it.get().goaway(code=0xFF)


@row("9113 7 RST_STREAM with an unknown code", answered(stream=3))
def _(it):
    it.post(path="/held").reset(1, 0xFF).get(3)
