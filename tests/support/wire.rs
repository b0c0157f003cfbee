//! One end of a TCP connection, read strictly and without ever waiting for ever.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::message::{Field, Head, latin1, parse_field};
use super::wait::PATIENCE;

/// Why no further bytes could be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Broken {
    /// The other side finished, with these bytes left unread.
    Ended(String),
    /// The other side reset the connection.
    Reset,
    /// Nothing came in time.
    Silent,
    /// What came is not HTTP/1.1.
    Malformed(String),
}

/// How a connection stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum End {
    /// The other side finished.
    Closed,
    /// The other side reset it.
    Reset,
    /// Still open.
    Open,
    /// There is more to read.
    Data(String),
}

/// What one connection received.
#[derive(Debug, Default)]
pub struct Seen {
    /// The first bytes, up to [`SEEN_MAX`].
    pub bytes: Vec<u8>,
    /// How many there were in all.
    pub total: u64,
    /// How it ended, once it has.
    pub end: Option<End>,
}

/// Recorded bytes of one connection: more than any test compares, less than a big body.
const SEEN_MAX: usize = 4 << 20;

/// One end of a connection.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    tls: Option<Box<rustls::Connection>>,
    buffer: Vec<u8>,
    seen: Arc<Mutex<Seen>>,
}

impl Wire {
    /// Takes over a stream.
    pub fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("loopback stream");
        stream.set_read_timeout(Some(PATIENCE)).expect("loopback stream");
        stream.set_write_timeout(Some(PATIENCE)).expect("loopback stream");
        Self { stream, tls: None, buffer: Vec::new(), seen: Arc::default() }
    }

    /// Takes over a stream that speaks TLS. An end that is not said counts as a reset.
    pub fn secure(stream: TcpStream, tls: rustls::Connection) -> Self {
        Self { tls: Some(Box::new(tls)), ..Self::new(stream) }
    }

    /// Changes how long a read may wait.
    pub fn patience(&mut self, limit: Duration) {
        self.stream.set_read_timeout(Some(limit)).expect("loopback stream");
    }

    /// The record of what came in.
    pub fn seen(&self) -> Arc<Mutex<Seen>> {
        self.seen.clone()
    }

    /// The stream itself.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// This side's address.
    pub fn local_address(&self) -> SocketAddr {
        self.stream.local_addr().expect("connected")
    }

    /// Writes everything; says why when it cannot.
    pub fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match &mut self.tls {
            None => self.stream.write_all(bytes),
            Some(tls) => over(tls, &mut self.stream, |it| it.write_all(bytes).and_then(|()| it.flush())),
        }
    }

    /// Announces the end of what this side sends.
    pub fn finish(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            let _ = tls.complete_io(&mut self.stream);
        }
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Ends the connection with a reset.
    pub fn reset(self) {
        let _ = socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }

    /// Reads one head: everything up to the blank line.
    pub fn head(&mut self) -> Result<Head, Broken> {
        loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                let bytes: Vec<u8> = self.buffer.drain(..at + 4).collect();
                return Head::parse(&bytes).map_err(Broken::Malformed);
            }
            self.fill()?;
        }
    }

    /// Reads exactly `count` bytes.
    pub fn exactly(&mut self, count: usize) -> Result<Vec<u8>, Broken> {
        while self.buffer.len() < count {
            self.fill()?;
        }
        Ok(self.buffer.drain(..count).collect())
    }

    /// Reads `count` bytes without keeping them.
    pub fn skip(&mut self, mut count: u64) -> Result<(), Broken> {
        loop {
            let now = usize::try_from(count).unwrap_or(usize::MAX).min(self.buffer.len());
            self.buffer.drain(..now);
            count -= now as u64;
            if count == 0 {
                return Ok(());
            }
            self.fill()?;
        }
    }

    /// Reads a chunked body and its trailers.
    pub fn chunked(&mut self) -> Result<(Vec<u8>, Vec<Field>), Broken> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let digits = line.chars().all(|it| it.is_ascii_hexdigit());
            let size = usize::from_str_radix(&line, 16).ok().filter(|_| digits);
            let Some(size) = size else {
                return Err(Broken::Malformed(format!("chunk size {line:?}")));
            };
            if size == 0 {
                return Ok((body, self.trailers()?));
            }
            body.extend(self.exactly(size)?);
            let end = self.exactly(2)?;
            if end != b"\r\n" {
                return Err(Broken::Malformed(format!("{end:?} after a chunk")));
            }
        }
    }

    /// Reads until the other side finishes.
    pub fn read_to_end(&mut self) -> Result<Vec<u8>, Broken> {
        loop {
            match self.fill() {
                Ok(()) => {}
                Err(Broken::Ended(_)) => return Ok(std::mem::take(&mut self.buffer)),
                Err(other) => return Err(other),
            }
        }
    }

    /// Bytes that were read and not used.
    pub fn left(&self) -> &[u8] {
        &self.buffer
    }

    /// How the connection stands, waiting for at most `limit`.
    pub fn end(&mut self, limit: Duration) -> End {
        let start = Instant::now();
        loop {
            if !self.buffer.is_empty() {
                return End::Data(latin1(&self.buffer));
            }
            let left = limit.saturating_sub(start.elapsed()).max(Duration::from_millis(1));
            self.patience(left);
            let read = self.fill();
            self.patience(PATIENCE);
            match read {
                Ok(()) => {}
                Err(Broken::Ended(_)) => return End::Closed,
                Err(Broken::Reset) => return End::Reset,
                Err(Broken::Silent | Broken::Malformed(_)) => return End::Open,
            }
        }
    }

    /// Reads once, into the buffer.
    pub fn fill(&mut self) -> Result<(), Broken> {
        let mut chunk = [0; 64 * 1024];
        loop {
            let read = match &mut self.tls {
                None => self.stream.read(&mut chunk),
                Some(tls) => over(tls, &mut self.stream, |it| it.read(&mut chunk)),
            };
            let mut seen = self.seen.lock().expect("no panic while held");
            match read {
                Ok(0) => {
                    seen.end = Some(End::Closed);
                    return Err(Broken::Ended(latin1(&self.buffer)));
                }
                Ok(count) => {
                    seen.total += count as u64;
                    let room = SEEN_MAX.saturating_sub(seen.bytes.len());
                    seen.bytes.extend_from_slice(&chunk[..count.min(room)]);
                    self.buffer.extend_from_slice(&chunk[..count]);
                    return Ok(());
                }
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => return Err(Broken::Silent),
                    _ => {
                        seen.end = Some(End::Reset);
                        return Err(Broken::Reset);
                    }
                },
            }
        }
    }

    fn line(&mut self) -> Result<String, Broken> {
        loop {
            if let Some(at) = find(&self.buffer, b"\r\n") {
                let bytes: Vec<u8> = self.buffer.drain(..at + 2).collect();
                return Ok(latin1(&bytes[..at]));
            }
            self.fill()?;
        }
    }

    fn trailers(&mut self) -> Result<Vec<Field>, Broken> {
        let mut fields = Vec::new();
        loop {
            match self.line()?.as_str() {
                "" => return Ok(fields),
                line => fields.push(parse_field(line).map_err(Broken::Malformed)?),
            }
        }
    }
}

trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

/// Reads or writes content, on either side.
fn over<T>(
    tls: &mut rustls::Connection,
    stream: &mut TcpStream,
    then: impl FnOnce(&mut dyn ReadWrite) -> T,
) -> T {
    match tls {
        rustls::Connection::Client(it) => then(&mut rustls::Stream::new(it, stream)),
        rustls::Connection::Server(it) => then(&mut rustls::Stream::new(it, stream)),
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|it| it == part)
}
