//! A client that sends exactly the bytes it is told to.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::message::Response;
use super::wait::PATIENCE;
use super::wire::{Broken, End, Wire};

/// One connection to a gate.
#[derive(Debug)]
pub struct Client {
    wire: Wire,
}

impl Client {
    /// Connects.
    #[track_caller]
    pub fn connect(to: SocketAddr) -> Self {
        match Self::try_connect(to) {
            Ok(client) => client,
            Err(error) => panic!("connect to {to}: {error}"),
        }
    }

    /// Connects if somebody listens.
    pub fn try_connect(to: SocketAddr) -> std::io::Result<Self> {
        TcpStream::connect_timeout(&to, PATIENCE).map(|stream| Self { wire: Wire::new(stream) })
    }

    /// Goes on over a connection that is there.
    pub fn over(wire: Wire) -> Self {
        Self { wire }
    }

    /// Connects with a receive buffer so small that the other side soon cannot write.
    #[track_caller]
    pub fn connect_narrow(to: SocketAddr) -> Self {
        let kind = socket2::Domain::for_address(to);
        let socket = socket2::Socket::new(kind, socket2::Type::STREAM, None).expect("socket");
        socket.set_recv_buffer_size(4096).expect("receive buffer");
        socket.connect(&to.into()).expect("connect");
        Self { wire: Wire::new(socket.into()) }
    }

    /// Sends; fails when the connection is gone.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        if let Err(error) = self.wire.try_send(bytes.as_ref()) {
            panic!("send: {error}");
        }
        self
    }

    /// Sends as much as the other side takes.
    pub fn offer(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.wire.try_send(bytes.as_ref())
    }

    /// Sends every byte by itself, as far as the other side takes them.
    pub fn send_bytewise(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        for byte in bytes.as_ref() {
            if self.wire.try_send(&[*byte]).is_err() {
                break;
            }
            std::thread::yield_now();
        }
        self
    }

    /// `GET target` with no body; the connection stays open.
    #[track_caller]
    pub fn get(&mut self, target: &str) -> Response {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: shop.test\r\n\r\n")).response()
    }

    /// Reads one final response.
    #[track_caller]
    pub fn response(&mut self) -> Response {
        match self.try_response("GET") {
            Ok(response) => response,
            Err(broken) => panic!("no response: {broken:?}"),
        }
    }

    /// Reads one final response to a `HEAD`.
    #[track_caller]
    pub fn response_to_head(&mut self) -> Response {
        match self.try_response("HEAD") {
            Ok(response) => response,
            Err(broken) => panic!("no response: {broken:?}"),
        }
    }

    /// Reads one final response to `method`, with the interim ones before it.
    pub fn try_response(&mut self, method: &str) -> Result<Response, Broken> {
        let mut interim = Vec::new();
        let head = loop {
            let head = self.wire.head()?;
            match head.status() {
                Some(100 | 102..=199) => interim.push(head),
                Some(_) => break head,
                None => return Err(Broken::Malformed(format!("status line {:?}", head.start))),
            }
        };
        let status = head.status().expect("checked above");
        let mut response = Response { interim, status, head, ..Response::default() };
        if method == "HEAD" || matches!(status, 101 | 204 | 304) {
            return Ok(response);
        }
        match framing(&response)? {
            Framing::Chunked => (response.body, response.trailers) = self.wire.chunked()?,
            Framing::Length(count) => response.body = self.wire.exactly(count)?,
            Framing::Close => response.body = self.wire.read_to_end()?,
        }
        Ok(response)
    }

    /// How the connection ends, given as long as anything may take.
    pub fn end(&mut self) -> End {
        self.wire.end(PATIENCE)
    }

    /// How the connection stands after `limit`.
    pub fn end_within(&mut self, limit: Duration) -> End {
        self.wire.end(limit)
    }

    /// Announces that nothing more will be sent.
    pub fn finish(&mut self) -> &mut Self {
        self.wire.finish();
        self
    }

    /// Ends the connection with a reset.
    pub fn reset(self) {
        self.wire.reset();
    }

    /// The connection itself, for what is not HTTP.
    pub fn wire(&mut self) -> &mut Wire {
        &mut self.wire
    }
}

enum Framing {
    Chunked,
    Length(usize),
    Close,
}

fn framing(response: &Response) -> Result<Framing, Broken> {
    let (codings, lengths) = (response.head.all("transfer-encoding"), response.head.all("content-length"));
    match (codings.as_slice(), lengths.as_slice()) {
        ([], []) => Ok(Framing::Close),
        (["chunked"], []) => Ok(Framing::Chunked),
        ([], [digits]) if digits.bytes().all(|it| it.is_ascii_digit()) => {
            let length = digits.parse().map_err(|_| Broken::Malformed(format!("length {digits:?}")))?;
            Ok(Framing::Length(length))
        }
        other => Err(Broken::Malformed(format!("framing {other:?}"))),
    }
}
