"""Messages (RFC 9113 section 8)."""

from table import ROWS, answered, data, fields, reset, row
from wire import PROTOCOL

# --- 8.1 and 8.2 messages


@row("9113 8.1 a second head that does not end", reset(PROTOCOL))
def _(it):
    it.post(path="/held").send(it.head(1, [("x", "y")], end=False))


@row("9113 8.1 trailers", answered(text="got 3"))
def _(it):
    it.post().send(data(1, b"123"), it.head(1, [("x-sum", "7")]))


@row("9113 8.1 a pseudo-header in the trailers", reset(PROTOCOL))
def _(it):
    it.post(path="/held").send(data(1), it.head(1, [(":method", "GET")]))


@row("9113 8.1 trailers in upper case", reset(PROTOCOL))
def _(it):
    it.post(path="/held").send(data(1), it.head(1, [("X-Sum", "7")]))


@row("9113 8.1 HEAD has no content", answered(text=""))
def _(it):
    it.send(it.head(1, it.fields("HEAD")))


for name, line in [
    ("8.2.1 a name in upper case", ("X-A", "b")),
    ("8.2.1 a name with a blank", ("x a", "b")),
    ("8.2.1 a name with a colon", ("x:a", "b")),
    ("8.2.1 no name", ("", "b")),
    ("8.2.1 a name beyond ASCII", ("x\u00e9", "b")),
    ("8.2.1 a value with CR", ("x", "a\rb")),
    ("8.2.1 a value with LF", ("x", "a\nb: c")),
    ("8.2.1 a value with NUL", ("x", "a\0b")),
    ("8.2.1 a blank before a value", ("x", " a")),
    ("8.2.1 a tab behind a value", ("x", "a\t")),
    ("8.2.2 connection", ("connection", "keep-alive")),
    ("8.2.2 keep-alive", ("keep-alive", "5")),
    ("8.2.2 proxy-connection", ("proxy-connection", "x")),
    ("8.2.2 upgrade", ("upgrade", "h2c")),
    ("8.2.2 transfer-encoding", ("transfer-encoding", "chunked")),
    ("8.2.2 te", ("te", "trailers, deflate;q=0.5")),
    ("8.3 an unknown pseudo-header", (":test", "ok")),
    ("8.3 a status", (":status", "200")),
]:
    fields(f"9113 {name}", reset(PROTOCOL), lambda it, line=line: it + [line])
fields("9113 8.2.2 te: trailers", answered(), lambda it: it + [("te", "trailers")])
fields(
    "9113 8.2.3 crumbs of a cookie",
    answered(text="a=1; b=2; c=3"),
    lambda it: it + [("cookie", "a=1"), ("x-a", "b"), ("cookie", "b=2"), ("cookie", "c=3")],
)
fields("9113 8.3 a pseudo-header too late", reset(PROTOCOL), lambda it: it[:1] + [("x", "y")] + it[1:])
fields("9113 8.3.1 an empty path", reset(PROTOCOL), lambda it: it[:3] + [(":path", "")])
fields("9113 8.3.1 no method", reset(PROTOCOL), lambda it: it[1:])
fields("9113 8.3.1 no scheme", reset(PROTOCOL), lambda it: it[:1] + it[2:])
fields("9113 8.3.1 no path", reset(PROTOCOL), lambda it: it[:3])
fields("9113 8.3.1 two methods", reset(PROTOCOL), lambda it: it[:1] + it)
fields("9113 8.3.1 two schemes", reset(PROTOCOL), lambda it: it[1:2] + it)
fields("9113 8.3.1 two paths", reset(PROTOCOL), lambda it: it[3:] + it)
fields("9113 8.3.1 two authorities", reset(PROTOCOL), lambda it: it[2:3] + it)
fields("9113 8.3.1 an empty method", reset(PROTOCOL), lambda it: [(":method", ""), *it[1:]])
fields("9113 8.3.1 an empty authority", answered("400"), lambda it: it[:2] + [(":authority", "")] + it[3:])
fields("9113 8.3.1 no authority and no host", answered("400"), lambda it: it[:2] + it[3:])
fields("9113 8.3.1 a host alone", answered(), lambda it: it[:2] + it[3:] + [("host", "shop.test")])
fields("9113 8.3.1 another host", answered("400"), lambda it: it + [("host", "other.test")])
fields(
    "9113 8.3.1 a user in the authority",
    answered("400"),
    lambda it: it[:2] + [(":authority", "me@shop.test")] + it[3:],
)
fields("9113 8.3.1 * of OPTIONS", answered(), lambda it: [(":method", "OPTIONS"), *it[1:3], (":path", "*")])
fields("9113 8.3.1 * of GET", reset(PROTOCOL), lambda it: it[:3] + [(":path", "*")])
fields(
    "9113 8.3.1 a path that is a URL", reset(PROTOCOL), lambda it: it[:3] + [(":path", "http://other.test/")]
)
fields(
    "9113 8.3.1 a path with line ends", reset(PROTOCOL), lambda it: it[:3] + [(":path", "/ HTTP/1.1\r\nx: y")]
)
fields(
    "9113 8.3.1 a scheme that is not ours", answered("400"), lambda it: it[:1] + [(":scheme", "ftp")] + it[2:]
)
fields(
    "9113 8.5 CONNECT", answered("405"), lambda it: [(":method", "CONNECT"), (":authority", "shop.test:443")]
)
fields("9113 8.5 CONNECT with a path", reset(PROTOCOL), lambda it: [(":method", "CONNECT"), *it[1:]])
fields("8441 4 a protocol without CONNECT", reset(PROTOCOL), lambda it: it + [(":protocol", "websocket")])


def announced(title, verdict, lengths, *parts):
    def script(it):
        it.post(path="/held", more=[("content-length", length) for length in lengths])
        it.send(*(data(1, part, at + 1 == len(parts)) for at, part in enumerate(parts)))

    ROWS.append((f"9113 8.1.1 {title}", script, verdict, True, None))


announced("less than was announced", reset(PROTOCOL), ["9"], b"test")
announced("less than was announced, in two frames", reset(PROTOCOL), ["9"], b"te", b"st")
announced("more than was announced, in two frames", reset(PROTOCOL), ["3"], b"te", b"st")
announced("two lengths", answered("400"), ["4", "5"], b"test")
announced("a length that is none", answered("400"), ["-4"], b"test")
fields("9113 8.1.1 announced, and none", reset(PROTOCOL), lambda it: it + [("content-length", "9")])


@row("9113 8.1.1 less than was announced before the trailers", reset(PROTOCOL))
def _(it):
    it.post(path="/held", more=[("content-length", "9")]).send(data(1, b"test"), it.head(1, [("x", "y")]))
