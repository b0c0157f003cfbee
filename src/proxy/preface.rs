//! The PROXY protocol, versions 1 and 2 (HAProxy, 2020): a few bytes ahead of everything else in which a
//! load balancer says for whom it connects.
//!
//! Nothing is guessed: where the header is switched on, a connection without one is closed. Nothing behind
//! the header is read, so that TLS or HTTP finds its first byte, and never more than a bounded number of
//! bytes is looked at.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;

use super::deadline::Deadline;

/// What version 2 begins with. No request and no TLS greeting does.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// What version 1 begins with.
const WORD: &[u8; 6] = b"PROXY ";

/// Longest line of version 1, with its end.
const LINE_MAX: usize = 107;

/// Most bytes behind the first 16 of version 2. Addresses need 36; the rest is room for what cloud
/// providers and TLS terminators add.
const BLOCK_MAX: usize = 4096;

/// What a header says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Source {
    /// The peer speaks for itself, as in a health check.
    Own,
    /// It speaks for this client.
    Client {
        /// Who that is.
        from: SocketAddr,
        /// Where it has connected to.
        to: SocketAddr,
    },
}

/// A connection does not begin as it must.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NoHeader;

impl From<io::Error> for NoHeader {
    fn from(_: io::Error) -> Self {
        Self
    }
}

/// Reads the header, and not a byte more, before `deadline` passes.
pub async fn receive(stream: &mut TcpStream, deadline: &Deadline) -> Result<Source, NoHeader> {
    let mut first = [0; SIGNATURE.len()];
    read_whole(stream, deadline, &mut first).await?;
    if first == *SIGNATURE {
        let mut rest = [0; 4];
        read_whole(stream, deadline, &mut rest).await?;
        let [about, family, high, low] = rest;
        let mut block = vec![0; usize::from(u16::from_be_bytes([high, low]))];
        if block.len() > BLOCK_MAX {
            return Err(NoHeader);
        }
        read_whole(stream, deadline, &mut block).await?;
        return second(about, family, &block);
    }
    if !first.starts_with(WORD) {
        return Err(NoHeader);
    }
    first_line(stream, deadline, &first).await
}

async fn first_line(stream: &mut TcpStream, deadline: &Deadline, first: &[u8]) -> Result<Source, NoHeader> {
    let mut line = [0; LINE_MAX];
    line[..first.len()].copy_from_slice(first);
    let mut len = first.len();
    while line[len - 1] != b'\n' {
        if len == LINE_MAX {
            return Err(NoHeader);
        }
        // What lies behind the end of the line is not ours to read.
        let there = waiting(deadline, |cx| {
            let mut room = ReadBuf::new(&mut line[len..]);
            stream.poll_peek(cx, &mut room)
        });
        let there = there.await?;
        if there == 0 {
            return Err(NoHeader);
        }
        let seen = &line[len..len + there];
        let take = seen.iter().position(|it| *it == b'\n').map_or(there, |it| it + 1);
        read_whole(stream, deadline, &mut line[len..len + take]).await?;
        len += take;
    }
    first_version(&line[..len])
}

async fn read_whole(stream: &mut TcpStream, deadline: &Deadline, into: &mut [u8]) -> Result<(), NoHeader> {
    let mut buffer = ReadBuf::new(into);
    while buffer.remaining() > 0 {
        let before = buffer.filled().len();
        waiting(deadline, |cx| Pin::new(&mut *stream).poll_read(cx, &mut buffer)).await?;
        if buffer.filled().len() == before {
            return Err(NoHeader);
        }
    }
    Ok(())
}

async fn waiting<T>(
    deadline: &Deadline,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<io::Result<T>>,
) -> Result<T, NoHeader> {
    poll_fn(|cx| match poll(cx) {
        Poll::Ready(done) => Poll::Ready(done.map_err(NoHeader::from)),
        Poll::Pending => {
            ready!(deadline.poll(cx));
            Poll::Ready(Err(NoHeader))
        }
    })
    .await
}

/// `PROXY TCP4 192.0.2.1 192.0.2.2 5000 443`.
fn first_version(line: &[u8]) -> Result<Source, NoHeader> {
    let line = line.strip_suffix(b"\r\n").ok_or(NoHeader)?;
    let line = str::from_utf8(line).map_err(|_| NoHeader)?;
    let mut words = line.split(' ').skip(1);
    let mut word = || words.next().ok_or(NoHeader);
    let family = word()?;
    if family == "UNKNOWN" {
        return Ok(Source::Own);
    }
    let (from, to) = (word()?, word()?);
    let address = |text: &str| -> Result<IpAddr, NoHeader> {
        match family {
            "TCP4" => text.parse::<Ipv4Addr>().map(IpAddr::V4).map_err(|_| NoHeader),
            "TCP6" => text.parse::<Ipv6Addr>().map(IpAddr::V6).map_err(|_| NoHeader),
            _ => Err(NoHeader),
        }
    };
    let (from, to) = (address(from)?, address(to)?);
    let (from, to) = (SocketAddr::new(from, port(word()?)?), SocketAddr::new(to, port(word()?)?));
    if words.next().is_some() {
        return Err(NoHeader);
    }
    Ok(Source::Client { from, to })
}

fn port(text: &str) -> Result<u16, NoHeader> {
    let plain = text.bytes().all(|it| it.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain).ok_or(NoHeader)
}

/// The block behind the first 16 bytes.
fn second(about: u8, family: u8, block: &[u8]) -> Result<Source, NoHeader> {
    let (source, rest) = match (about, family) {
        // LOCAL: whatever follows says nothing.
        (0x20, _) => return Ok(Source::Own),
        // No family that could be told.
        (0x21, 0x00) => return Ok(Source::Own),
        (0x21, 0x11) => {
            let (it, rest) = block.split_first_chunk::<12>().ok_or(NoHeader)?;
            let [a, b, c, d, e, f, g, h, ports @ ..] = *it;
            (client([a, b, c, d].into(), [e, f, g, h].into(), ports), rest)
        }
        (0x21, 0x21) => {
            let (from, rest) = block.split_first_chunk::<16>().ok_or(NoHeader)?;
            let (to, rest) = rest.split_first_chunk::<16>().ok_or(NoHeader)?;
            let (ports, rest) = rest.split_first_chunk::<4>().ok_or(NoHeader)?;
            (client((*from).into(), (*to).into(), *ports), rest)
        }
        // A Unix socket has no address that a client could be known by.
        (0x21, 0x31) => (Source::Own, block.get(216..).ok_or(NoHeader)?),
        _ => return Err(NoHeader),
    };
    extensions(rest)?;
    Ok(source)
}

fn client(from: IpAddr, to: IpAddr, [a, b, c, d]: [u8; 4]) -> Source {
    let (from, to) =
        (SocketAddr::new(from, u16::from_be_bytes([a, b])), SocketAddr::new(to, u16::from_be_bytes([c, d])));
    Source::Client { from, to }
}

/// Type, length, value, and again, up to the last byte.
fn extensions(mut rest: &[u8]) -> Result<(), NoHeader> {
    while !rest.is_empty() {
        let (head, behind) = rest.split_first_chunk::<3>().ok_or(NoHeader)?;
        let len = usize::from(u16::from_be_bytes([head[1], head[2]]));
        rest = behind.get(len..).ok_or(NoHeader)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn client(from: &str, to: &str) -> Result<Source, NoHeader> {
        Ok(Source::Client { from: from.parse().unwrap(), to: to.parse().unwrap() })
    }

    const LONGEST: &str = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535";

    #[test]
    fn lines() {
        let longest = "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff \
                       ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n";
        for (line, expected) in [
            ("PROXY TCP4 192.0.2.1 192.0.2.2 5000 443\r\n", client("192.0.2.1:5000", "192.0.2.2:443")),
            ("PROXY TCP6 2001:db8::1 ::1 0 443\r\n", client("[2001:db8::1]:0", "[::1]:443")),
            (longest, client(LONGEST, LONGEST)),
            ("PROXY UNKNOWN\r\n", Ok(Source::Own)),
            ("PROXY UNKNOWN ffff::1 whatever\r\n", Ok(Source::Own)),
            ("PROXY TCP4 192.0.2.1 192.0.2.2 5000 443\n", Err(NoHeader)),
            ("PROXY TCP4 192.0.2.1 192.0.2.2 5000 443 \r\n", Err(NoHeader)),
            ("PROXY TCP4 192.0.2.1 192.0.2.2 5000\r\n", Err(NoHeader)),
            ("PROXY TCP4 192.0.2.1  192.0.2.2 5000 443\r\n", Err(NoHeader)),
            ("PROXY TCP4 192.0.2.01 192.0.2.2 5000 443\r\n", Err(NoHeader)),
            ("PROXY TCP4 ::1 ::1 5000 443\r\n", Err(NoHeader)),
            ("PROXY TCP6 192.0.2.1 192.0.2.2 5000 443\r\n", Err(NoHeader)),
            ("PROXY TCP4 192.0.2.1 192.0.2.2 65536 443\r\n", Err(NoHeader)),
            ("PROXY TCP4 192.0.2.1 192.0.2.2 05000 443\r\n", Err(NoHeader)),
            ("PROXY TCP4 192.0.2.1 192.0.2.2 +500 443\r\n", Err(NoHeader)),
            ("PROXY UDP4 192.0.2.1 192.0.2.2 5000 443\r\n", Err(NoHeader)),
            ("PROXY \r\n", Err(NoHeader)),
            ("PROXY TCP4\r\n", Err(NoHeader)),
        ] {
            assert_eq!(first_version(line.as_bytes()), expected, "{line}");
        }
        assert!(longest.len() <= LINE_MAX);
        assert_eq!(first_version(b"PROXY TCP4 \xff\r\n"), Err(NoHeader));
    }

    #[test]
    fn blocks() {
        let four = [192, 0, 2, 1, 192, 0, 2, 2, 0x13, 0x88, 1, 0xbb];
        let with = |rest: &[u8]| [&four[..], rest].concat();
        for (about, family, block, expected) in [
            (0x21, 0x11, with(&[]), client("192.0.2.1:5000", "192.0.2.2:443")),
            (0x21, 0x11, with(&[4, 0, 1, 0]), client("192.0.2.1:5000", "192.0.2.2:443")),
            (0x21, 0x11, with(&[4, 0, 0, 4, 0, 2, 9, 9]), client("192.0.2.1:5000", "192.0.2.2:443")),
            (0x21, 0x11, four[..11].to_vec(), Err(NoHeader)),
            // Lengths of extensions that do not add up.
            (0x21, 0x11, with(&[4]), Err(NoHeader)),
            (0x21, 0x11, with(&[4, 0]), Err(NoHeader)),
            (0x21, 0x11, with(&[4, 0, 2, 0]), Err(NoHeader)),
            (0x21, 0x11, with(&[4, 0xff, 0xff, 0]), Err(NoHeader)),
            (0x21, 0x21, vec![0; 36], client("[::]:0", "[::]:0")),
            (0x21, 0x21, vec![0; 35], Err(NoHeader)),
            (0x21, 0x31, vec![0; 216], Ok(Source::Own)),
            (0x21, 0x31, vec![0; 215], Err(NoHeader)),
            (0x21, 0x00, vec![1, 2, 3], Ok(Source::Own)),
            (0x20, 0x11, vec![], Ok(Source::Own)),
            (0x20, 0x77, vec![7; 9], Ok(Source::Own)),
            // Datagrams, another version, another command.
            (0x21, 0x12, with(&[]), Err(NoHeader)),
            (0x21, 0x41, with(&[]), Err(NoHeader)),
            (0x11, 0x11, with(&[]), Err(NoHeader)),
            (0x22, 0x11, with(&[]), Err(NoHeader)),
        ] {
            assert_eq!(second(about, family, &block), expected, "{about:#x} {family:#x} {block:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(about: u8, family: u8, block: Vec<u8>, line: Vec<u8>) {
            let _ = second(about, family, &block);
            let _ = second(0x21, 0x11, &block);
            let _ = first_version(&line);
            let _ = first_version(&[b"PROXY TCP4 ", &line[..], b"\r\n"].concat());
        }
    }
}
