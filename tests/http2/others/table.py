"""What a row of the rules is: a title, a script, and what has to come of it."""

import sys

from hpack.hpack import encode_integer
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hyperframe.frame import ContinuationFrame, DataFrame, ExtensionFrame

TO, CA = sys.argv[1], None if sys.argv[2] == "-" else sys.argv[2]
BIG = 2**31 - 1
ROWS = []


# --- what has to come of a row


def broken(*codes):
    """The connection ends, with one of these codes."""

    def judge(it):
        closed(it)
        return it.came.closed and it.came.goaways[-1:] and it.came.goaways[-1][0] in codes

    return judge


def reset(*codes, stream=1):
    """The stream is reset with one of these codes, and the connection goes on."""

    def judge(it):
        it.until(lambda came: stream in came.resets or came.closed)
        return it.came.resets.get(stream) in codes and lives(it)

    return judge


def answered(status="200", text=None, stream=1):
    """The request is answered, and the connection goes on."""

    def judge(it):
        it.until(lambda came: came.is_over(stream))
        came = it.came
        fits = came.status(stream) == status and stream in came.ended and text in (None, came.text(stream))
        return fits and lives(it)

    return judge


def closed(it):
    """The connection ends, whatever is said."""
    return it.until(lambda came: came.closed)


def lives(it):
    it.ping(b"still on")
    return it.until(lambda came: b"still on" in came.pongs or came.closed) and not it.came.closed


def row(title, verdict, hello=True, settings=None):
    def add(script):
        ROWS.append((title, script, verdict, hello, settings))
        return script

    return add


def frame(title, verdict, make):
    """A row that sends what `make` makes of its connection."""
    ROWS.append((title, lambda it: it.send(*make(it)), verdict, True, None))


def fields(title, verdict, change):
    """A row that is one request, with these fields."""
    ROWS.append((title, lambda it: it.send(it.head(1, change(it.fields()))), verdict, True, None))


def block(title, verdict, make):
    """A row that is one request, behind whose fields this is written."""

    def script(it):
        head = it.head(1, it.fields(more=[("x-echo", "kept")]))
        head.data = make(head.data)
        it.send(head)

    ROWS.append((title, script, verdict, True, None))


def data(stream, content=b"x", end=False):
    return DataFrame(stream, data=content, flags=["END_STREAM"] if end else [])


def unknown(kind, stream):
    """A frame of a type that nobody knows."""
    it = ExtensionFrame(kind, stream, 0xFF)
    # The library writes what it has read, and nothing else.
    it.parse_body(memoryview(b"12345678"))
    return it


def split(head, at=5):
    """A head as HEADERS without an end, and the CONTINUATION that ends it."""
    rest = ContinuationFrame(head.stream_id, data=head.data[at:], flags=["END_HEADERS"])
    head.data = head.data[:at]
    head.flags.discard("END_HEADERS")
    return head, rest


def depends(frame, on_stream):
    frame.depends_on, frame.stream_weight, frame.exclusive = on_stream, 9, False
    return frame


def integer(number, bits, mark):
    it = encode_integer(number, bits)
    it[0] |= mark
    return bytes(it)


def text(content, huffman=False):
    if huffman:
        content = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH).encode(content)
    return integer(len(content), 7, 0x80 if huffman else 0) + content
