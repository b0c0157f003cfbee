"""One connection of HTTP/2, frames by hyperframe and heads by hpack, on either side: sound or not, as it is told."""

import socket
import ssl
import time

import hpack
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

# RFC 9113 section 7.
NO_ERROR, PROTOCOL, INTERNAL, FLOW, TIMEOUT, CLOSED, SIZE, REFUSED, CANCEL, COMPRESSION = range(10)
CALM = 11

# Nothing here takes so long, however busy the machine is.
PATIENCE = 30


class Came:
    """What has arrived."""

    def __init__(self):
        self.fields, self.trailers, self.interim = {}, {}, {}
        self.body, self.ended, self.resets = {}, set(), {}
        self.goaways, self.pongs, self.acks, self.closed = [], [], 0, False

    def status(self, stream):
        return dict(self.fields.get(stream, [])).get(":status")

    def text(self, stream):
        return bytes(self.body.get(stream, b"")).decode("latin-1")

    def is_over(self, stream):
        return self.closed or stream in self.ended or stream in self.resets

    def __repr__(self):
        shown = {key: value for key, value in vars(self).items() if value}
        return repr(shown)[:600]


class Connection:
    """A socket, both tables, and what came."""

    def __init__(self, sock, scheme="http"):
        self.sock, self.scheme = sock, scheme
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.decoder.max_header_list_size = 1 << 24
        self.came, self.read, self.block = Came(), bytearray(), None
        # Whether what must be acknowledged is, and whether the other side gets its windows back.
        self.polite, self.generous = True, True
        self.lost = False
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(PATIENCE)

    # --- what leaves

    def raw(self, data):
        """Bytes as they are; whether they were taken."""
        try:
            self.sock.sendall(data)
        except (OSError, ssl.SSLError):
            self.lost = True
        return not self.lost

    def send(self, *frames):
        self.raw(b"".join(it.serialize() for it in frames))
        return self

    def hello(self, settings=None):
        self.raw(PREFACE)
        return self.send(SettingsFrame(0, settings=settings or {}))

    def fields(self, method="GET", path="/", more=(), authority="shop.test"):
        return [
            (":method", method),
            (":scheme", self.scheme),
            (":authority", authority),
            (":path", path),
            *more,
        ]

    def head(self, stream, fields, end=True, flags=(), huffman=True):
        """The frame of a whole head."""
        it = HeadersFrame(stream, data=self.encoder.encode(fields, huffman=huffman))
        for flag in ("END_HEADERS", *(["END_STREAM"] if end else []), *flags):
            it.flags.add(flag)
        return it

    def get(self, stream=1, path="/", more=()):
        return self.send(self.head(stream, self.fields(path=path, more=more)))

    def post(self, stream=1, path="/", more=()):
        """The head of a request with content to follow."""
        return self.send(self.head(stream, self.fields("POST", path, more), end=False))

    def ping(self, data=b"and now?"):
        return self.send(PingFrame(0, opaque_data=data))

    def window(self, stream, by):
        """A change of a window, of any size and for any stream."""
        it = WindowUpdateFrame(stream)
        it.window_increment = by
        return self.send(it)

    def reset(self, stream, code=CANCEL):
        return self.send(RstStreamFrame(stream, error_code=code))

    def goaway(self, last=0, code=NO_ERROR):
        return self.send(GoAwayFrame(0, last_stream_id=last, error_code=code))

    # --- what arrives

    def next(self, seconds=PATIENCE):
        """The next frame; `None` when the time is over or the connection is."""
        until = time.monotonic() + seconds
        while True:
            if len(self.read) >= 9:
                frame, length = Frame.parse_frame_header(memoryview(bytes(self.read[:9])))
                if len(self.read) >= 9 + length:
                    frame.parse_body(memoryview(bytes(self.read[9 : 9 + length])))
                    del self.read[: 9 + length]
                    self.note(frame)
                    return frame
            left = until - time.monotonic()
            if left <= 0 or self.came.closed:
                return None
            self.sock.settimeout(max(left, 0.001))
            try:
                data = self.sock.recv(65_536)
            except (TimeoutError, ssl.SSLWantReadError):
                return None
            except (OSError, ssl.SSLError):
                data = b""
            finally:
                self.sock.settimeout(PATIENCE)
            if not data:
                self.came.closed = True
            self.read += data

    def note(self, frame):
        came, stream = self.came, frame.stream_id
        if isinstance(frame, SettingsFrame):
            if "ACK" in frame.flags:
                came.acks += 1
            elif self.polite:
                self.send(SettingsFrame(0, flags=["ACK"]))
        elif isinstance(frame, PingFrame):
            if "ACK" in frame.flags:
                came.pongs.append(frame.opaque_data)
            elif self.polite:
                self.send(PingFrame(0, opaque_data=frame.opaque_data, flags=["ACK"]))
        elif isinstance(frame, (HeadersFrame, ContinuationFrame)):
            self.block = (self.block or b"") + frame.data
            if "END_STREAM" in frame.flags:
                came.ended.add(stream)
            if "END_HEADERS" in frame.flags:
                fields, self.block = self.decoder.decode(self.block), None
                self.note_head(stream, fields)
        elif isinstance(frame, DataFrame):
            came.body.setdefault(stream, bytearray()).extend(frame.data)
            if "END_STREAM" in frame.flags:
                came.ended.add(stream)
            if self.generous and frame.flow_controlled_length:
                self.window(0, frame.flow_controlled_length)
                if stream not in came.ended:
                    self.window(stream, frame.flow_controlled_length)
        elif isinstance(frame, RstStreamFrame):
            came.resets[stream] = frame.error_code
        elif isinstance(frame, GoAwayFrame):
            came.goaways.append((frame.error_code, frame.last_stream_id))

    def note_head(self, stream, fields):
        status = dict(fields).get(":status", "")
        if status.startswith("1"):
            self.came.interim.setdefault(stream, []).append(status)
        elif stream in self.came.fields:
            self.came.trailers[stream] = fields
        else:
            self.came.fields[stream] = fields

    def until(self, done, seconds=PATIENCE):
        """Listens until it is so, or nothing more comes; whether it is."""
        until = time.monotonic() + seconds
        while not done(self.came):
            if self.next(max(until - time.monotonic(), 0)) is None:
                break
        return done(self.came)

    def close(self):
        self.sock.close()


def connect(to, ca=None, settings=None, hello=True):
    """A client's connection to HOST:PORT, by TLS when there is a `ca`."""
    host, port = to.rsplit(":", 1)
    sock = socket.create_connection((host, int(port)), PATIENCE)
    if ca:
        context = ssl.create_default_context(cafile=ca)
        context.set_alpn_protocols(["h2"])
        sock = context.wrap_socket(sock, server_hostname="shop.test")
        assert sock.selected_alpn_protocol() == "h2"
    it = Connection(sock, "https" if ca else "http")
    return it.hello(settings) if hello else it


def with_body(frame, body):
    """The frame with this payload, whatever it should have."""
    frame.serialize_body = lambda: body
    return frame


def on(frame, stream):
    """The frame on this stream, whether it may be there or not."""
    frame.stream_id = stream
    return frame


def changed(frame, at, bits):
    """The frame's bytes with bits set that nobody should set."""
    data = bytearray(frame.serialize())
    data[at] |= bits
    return bytes(data)
