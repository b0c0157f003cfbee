"""States and numbers of streams (RFC 9113 section 5)."""

from hyperframe.frame import ContinuationFrame, PingFrame, PriorityFrame, RstStreamFrame, WindowUpdateFrame

from table import BIG, answered, broken, data, depends, frame, reset, row, split, unknown
from wire import CANCEL, CLOSED, PROTOCOL, REFUSED, SIZE, on, with_body

# --- 5.1 states

frame("9113 5.1 idle: DATA", broken(PROTOCOL), lambda it: [data(1, end=True)])
frame("9113 5.1 idle: RST_STREAM", broken(PROTOCOL), lambda it: [RstStreamFrame(1, error_code=CANCEL)])
frame(
    "9113 5.1 idle: WINDOW_UPDATE", broken(PROTOCOL), lambda it: [WindowUpdateFrame(1, window_increment=100)]
)
frame(
    "9113 5.1 idle: CONTINUATION",
    broken(PROTOCOL),
    lambda it: [ContinuationFrame(1, data=it.encoder.encode(it.fields()), flags=["END_HEADERS"])],
)
frame(
    "9113 5.1 idle: PRIORITY", answered(), lambda it: [depends(PriorityFrame(3), 0), it.head(1, it.fields())]
)


@row("9113 5.1 half closed: DATA", reset(CLOSED))
def _(it):
    it.get(path="/held").send(data(1, end=True))


@row("9113 5.1 half closed: HEADERS", reset(CLOSED))
def _(it):
    it.get(path="/held").get()


@row("9113 5.1 half closed: CONTINUATION", broken(PROTOCOL))
def _(it):
    it.get(path="/held").send(
        ContinuationFrame(1, data=it.encoder.encode(it.fields()), flags=["END_HEADERS"])
    )


@row("9113 5.1 half closed: WINDOW_UPDATE", answered())
def _(it):
    it.get().window(1, 100)


@row("9113 5.1 half closed: PRIORITY", answered())
def _(it):
    it.get().send(depends(PriorityFrame(1), 0))


@row("9113 5.1 closed by their reset: DATA", reset(CLOSED))
def _(it):
    it.post(path="/held").reset(1).send(data(1, end=True))


@row("9113 5.1 closed by their reset: HEADERS", broken(PROTOCOL, CLOSED))
def _(it):
    it.post(path="/held").reset(1).send(it.head(1, [("x", "y")]))


@row("9113 5.1 closed by their reset: CONTINUATION", broken(PROTOCOL))
def _(it):
    it.post(path="/held").reset(1).send(ContinuationFrame(1, data=b"\x82", flags=["END_HEADERS"]))


@row("9113 5.1 closed by their reset: RST_STREAM and WINDOW_UPDATE", answered(stream=3))
def _(it):
    it.post(path="/held").reset(1).reset(1).window(1, 9).get(3)


def after_the_answer(it):
    it.get()
    it.until(lambda came: came.is_over(1))


@row("9113 5.1 closed by both ends: DATA", reset(CLOSED))
def _(it):
    after_the_answer(it)
    it.send(data(1, end=True))


@row("9113 5.1 closed by both ends: HEADERS", broken(PROTOCOL, CLOSED))
def _(it):
    after_the_answer(it)
    it.get()


@row("9113 5.1 closed by both ends: CONTINUATION", broken(PROTOCOL))
def _(it):
    after_the_answer(it)
    it.send(ContinuationFrame(1, data=b"\x82", flags=["END_HEADERS"]))


@row("9113 5.1 closed by both ends: WINDOW_UPDATE, PRIORITY, RST_STREAM", answered(stream=3))
def _(it):
    after_the_answer(it)
    it.window(1, 100).send(depends(PriorityFrame(1), 0)).reset(1).get(3)


@row("9113 5.1 closed by our reset: everything that was on its way", answered(stream=3))
def _(it):
    it.post(path="/held").window(1, 0)
    it.until(lambda came: 1 in came.resets)
    it.send(data(1), data(1, end=True), it.head(1, [("x", "y")])).window(1, 9).reset(1).get(3)


frame("9113 5.1.1 an even number", broken(PROTOCOL), lambda it: [it.head(2, it.fields())])
frame("9113 5.1.1 stream 0", broken(PROTOCOL), lambda it: [on(it.head(1, it.fields()), 0)])
frame(
    "9113 5.1.1 a smaller number",
    broken(PROTOCOL),
    lambda it: [it.head(5, it.fields()), it.head(3, it.fields())],
)
frame("9113 5.1.1 numbers that are left out", answered(stream=9), lambda it: [it.head(9, it.fields())])
frame(
    "9113 5.1.1 DATA of a number that was left out",
    reset(CLOSED, stream=7),
    lambda it: [it.head(9, it.fields()), data(7)],
)
frame("9113 5.1.1 the highest number", answered(stream=BIG), lambda it: [it.head(BIG, it.fields())])


@row("9113 5.1.1 a number after the highest", broken(PROTOCOL))
def _(it):
    it.get(BIG)
    it.until(lambda came: came.is_over(BIG))
    it.get(1)


@row("9113 5.1.2 one stream too many", reset(REFUSED, stream=201))
def _(it):
    it.send(*(it.head(number * 2 + 1, it.fields(path="/held")) for number in range(101)))


@row("9113 5.1.2 a place that is free again", answered(stream=203))
def _(it):
    it.send(*(it.head(number * 2 + 1, it.fields(path="/held")) for number in range(101)))
    it.until(lambda came: 201 in came.resets)
    it.reset(1).get(203)


frame(
    "7540 5.3.1 a head that depends on itself",
    reset(PROTOCOL),
    lambda it: [depends(it.head(1, it.fields(), flags=["PRIORITY"]), 1)],
)
frame(
    "7540 5.3.1 PRIORITY on itself",
    reset(PROTOCOL),
    lambda it: [it.head(1, it.fields(path="/held")), depends(PriorityFrame(1), 1)],
)
frame(
    "9113 5.3.2 a head with a priority",
    answered(),
    lambda it: [depends(it.head(1, it.fields(), flags=["PRIORITY"]), 0)],
)
frame("9113 5.4.1 GOAWAY, and then the end", broken(SIZE), lambda it: [with_body(PingFrame(0), b"123456")])
frame("9113 5.5 an extension frame", answered(), lambda it: [it.head(1, it.fields()), unknown(0x99, 1)])


@row("9113 5.5 an extension frame within a block", broken(PROTOCOL))
def _(it):
    first, rest = split(it.head(1, it.fields()))
    it.send(first, unknown(0x99, 1), rest)
