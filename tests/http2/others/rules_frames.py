"""Frames as such (RFC 9113 sections 3.4 and 4)."""

from hyperframe.frame import HeadersFrame, PingFrame, PriorityFrame, SettingsFrame

from table import answered, broken, closed, data, depends, frame, row, split, unknown
from wire import COMPRESSION, PREFACE, PROTOCOL, SIZE, changed, on, with_body

# --- 3.4 the preface


@row("9113 3.4 the preface is not ours", closed, hello=False)
def _(it):
    it.raw(b"INVALID CONNECTION PREFACE\r\n\r\n")


@row("9113 3.4 the preface without settings behind it", broken(PROTOCOL), hello=False)
def _(it):
    it.raw(PREFACE)
    it.get()


@row("9113 3.4 the first settings acknowledge", broken(PROTOCOL), hello=False)
def _(it):
    it.raw(PREFACE)
    it.send(SettingsFrame(0, flags=["ACK"]))


@row("9113 3.4 a request before the server has said a word", answered())
def _(it):
    it.get()


# --- 4.1 to 4.3 frames

frame("9113 4.1 a frame of unknown type", answered(), lambda it: [unknown(0x16, 0), it.head(1, it.fields())])


@row("9113 4.1 flags that mean nothing", answered())
def _(it):
    it.raw(changed(PingFrame(0, opaque_data=b"12345678"), 4, 0x16))
    it.get()


@row("9113 4.1 the reserved bit", answered())
def _(it):
    it.raw(changed(PingFrame(0, opaque_data=b"12345678"), 5, 0x80))
    it.raw(changed(it.head(1, it.fields()), 5, 0x80))


@row("9113 4.2 content of the largest size", answered(text="got 16384"))
def _(it):
    it.post().send(data(1, b"x" * 16_384, True))


@row("9113 4.2 content above the largest size", broken(SIZE))
def _(it):
    it.post().send(data(1, b"x" * 16_385, True))


@row("9113 4.2 a head above the largest size", broken(SIZE))
def _(it):
    it.send(it.head(1, it.fields(more=[("x", "y" * 16_500)]), huffman=False))


@row("9113 4.2 settings above the largest size", broken(SIZE))
def _(it):
    it.send(with_body(SettingsFrame(0), b"\0\4\0\0\1\0" * 2_731))


@row("9113 4.3 a block that makes no sense", broken(COMPRESSION))
def _(it):
    it.send(HeadersFrame(1, data=b"\x40\xff\xff\xff\xff", flags=["END_HEADERS", "END_STREAM"]))


@row("9113 4.3 PRIORITY within a block", broken(PROTOCOL))
def _(it):
    first, rest = split(it.head(1, it.fields()))
    it.send(first, depends(PriorityFrame(1), 0), rest)


@row("9113 4.3 another stream's head within a block", broken(PROTOCOL))
def _(it):
    first, _ = split(it.head(1, it.fields()))
    it.send(first, it.head(3, it.fields()))


@row("9113 4.3 a PING within a block", broken(PROTOCOL))
def _(it):
    first, _ = split(it.head(1, it.fields()))
    it.send(first).ping()


@row("9113 4.3 another stream's CONTINUATION within a block", broken(PROTOCOL))
def _(it):
    first, rest = split(it.head(1, it.fields()))
    it.send(first, on(rest, 3))
