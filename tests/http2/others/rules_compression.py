"""Compressed heads (RFC 7541, and RFC 9113 section 4.3)."""

from hpack import NeverIndexedHeaderTuple
from hyperframe.frame import HeadersFrame

from table import CA, ROWS, answered, block, broken, integer, row, split, text
from wire import COMPRESSION

# --- RFC 7541

ENDS = b"\0\x01x"  # A literal that nobody remembers; its value is next.
block("7541 2.3.3 an index beyond the tables", broken(COMPRESSION), lambda it: it + integer(99, 7, 0x80))
block(
    "7541 2.3.3 the name of an index beyond the tables",
    broken(COMPRESSION),
    lambda it: it + integer(99, 6, 0x40) + text(b"v"),
)
block("7541 4.2 a change of size behind the fields", broken(COMPRESSION), lambda it: it + integer(0, 5, 0x20))
block(
    "7541 4.2 a change of size between the fields",
    broken(COMPRESSION),
    lambda it: it + integer(0, 5, 0x20) + ENDS + text(b"v"),
)
block(
    "7541 4.2 two changes of size in front",
    answered(text="kept"),
    lambda it: integer(0, 5, 0x20)
    + integer(4096, 5, 0x20)
    + b"\x82"
    + (b"\x87" if CA else b"\x86")
    + b"\x84"
    + integer(1, 4, 0)
    + text(b"shop.test")
    + b"\0"
    + text(b"x-echo", True)
    + text(b"kept", True),
)
block(
    "7541 4.4 an entry larger than the table forgets all",
    broken(COMPRESSION),
    lambda it: it + b"\x40" + text(b"x-large") + text(b"y" * 4_100) + integer(62, 7, 0x80),
)
block("7541 5.1 a number without an end", broken(COMPRESSION), lambda it: it + b"\xff" + b"\x80" * 40 + b"\0")
block(
    "7541 5.1 a number that overflows", broken(COMPRESSION), lambda it: it + b"\xff" + b"\xff" * 9 + b"\x01"
)
block("7541 5.1 a number that is cut off", broken(COMPRESSION), lambda it: it + b"\xff\x80")
block("7541 5.2 a text that is cut off", broken(COMPRESSION), lambda it: it + ENDS + b"\x09abc")
block(
    "7541 5.2 padding of more than seven bits",
    broken(COMPRESSION),
    lambda it: it + ENDS + b"\x86\xf2\xb2\x4a\x84\xff\xff",
)
block("7541 5.2 padding of zeros", broken(COMPRESSION), lambda it: it + ENDS + b"\x85\xf2\xb2\x4a\x84\x80")
block(
    "7541 5.2 the end of texts within one",
    broken(COMPRESSION),
    lambda it: it + ENDS + b"\x88\xf2\xb2\x4a\x84\xff\xff\xff\xff",
)
block("7541 5.2 an empty text in Huffman's code", answered(text="kept"), lambda it: it + ENDS + b"\x80")
block("7541 6.1 index 0", broken(COMPRESSION), lambda it: it + b"\x80")
block("7541 6.3 a size above the limit", broken(COMPRESSION), lambda it: integer(4097, 5, 0x20) + it)
block("7541 6.3 the size that is the limit", answered(text="kept"), lambda it: integer(4096, 5, 0x20) + it)
ECHO = bytes(range(0x20, 0x7F)).strip() + "\u00e9\u00ff".encode("latin-1")
for name, mark, bits, huffman in [
    ("6.2.1 remembered", 0x40, 6, False),
    ("6.2.1 remembered, in Huffman's code", 0x40, 6, True),
    ("6.2.2 not remembered", 0, 4, False),
    ("6.2.2 not remembered, in Huffman's code", 0, 4, True),
    ("6.2.3 never remembered", 0x10, 4, False),
    ("6.2.3 never remembered, in Huffman's code", 0x10, 4, True),
]:
    ROWS.append(
        (
            f"7541 {name}",
            lambda it, mark=mark, bits=bits, huffman=huffman: it.send(
                HeadersFrame(
                    1,
                    flags=["END_HEADERS", "END_STREAM"],
                    data=it.encoder.encode(it.fields())
                    + integer(0, bits, mark)
                    + text(b"x-echo", huffman)
                    + text(ECHO, huffman),
                )
            ),
            lambda it: answered()(it) and bytes(it.came.body[1]) == ECHO,
            True,
            None,
        )
    )


@row("7541 7.1.3 never remembered, as the library has it", answered(text="secret"))
def _(it):
    it.send(it.head(1, it.fields(more=[NeverIndexedHeaderTuple("x-echo", "secret")])))


def echoes(it, stream, value):
    it.get(stream, more=[("x-echo", value)])
    it.until(lambda came: came.is_over(stream))
    return it.came.text(stream) == value


def remembers(it):
    return echoes(it, 301, "first") and echoes(it, 303, "second") and echoes(it, 305, "first")


@row("7541 2.3.2 fields are found again", remembers)
def _(it):
    pass


@row("7541 4.3 fields leave the table", remembers)
def _(it):
    for number in range(1, 99, 2):
        assert echoes(it, number, f"{number}-{'x' * (number * 13)}")


@row("7541 4.2 a table that shrinks and grows", remembers)
def _(it):
    for number, size in enumerate([64, 0, 4096, 200, 4000]):
        it.encoder.header_table_size = size
        assert echoes(it, number * 2 + 1, f"of {size}")


# RFC 9113 section 4.3: whatever becomes of a request, its block has changed the table.
@row("9113 4.3 the table after a malformed request", remembers)
def _(it):
    it.send(it.head(1, it.fields(more=[("x-echo", "first"), ("X", "upper")])))


@row("9113 4.3 the table after a head that is too large", remembers)
def _(it):
    long = [(f"x-{at}", "y" * 3_000) for at in range(9)]
    it.send(*split(it.head(1, it.fields(more=[("x-echo", "first"), *long, ("x-echo", "second")])), 9_000))


@row("9113 4.3 the table after a request that is refused", remembers)
def _(it):
    it.send(
        *(
            it.head(
                number * 2 + 1, it.fields(path="/held", more=[("x-echo", "second" if number > 99 else "no")])
            )
            for number in range(101)
        )
    )
    it.until(lambda came: 201 in came.resets)
    for number in range(100):
        it.reset(number * 2 + 1)


@row("9113 4.3 the table after trailers of a stream that is gone", remembers)
def _(it):
    it.post(path="/held").window(1, 0)
    it.until(lambda came: 1 in came.resets)
    it.send(it.head(1, [("x-echo", "first"), ("x-echo", "second")]))
