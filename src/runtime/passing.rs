//! Messages between two processes that can carry open files (`SCM_RIGHTS`).
//!
//! A pair of Unix sockets that keep messages apart. One end is handed to a child as its standard input:
//! the one descriptor whose number a child knows without being told.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout, socket_type};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

/// Open files in one message; the kernel takes at most 253.
pub const FILES_MAX: usize = 64;

/// Longest message.
const BYTES_MAX: usize = 32 * 1024;

/// One end.
#[derive(Debug)]
pub struct Passing(OwnedFd);

impl Passing {
    /// Two ends, the second one to be a child's standard input.
    pub fn pair() -> io::Result<(Self, OwnedFd)> {
        let (own, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Self(own), theirs))
    }

    /// The other end, if it is our standard input. That is `/dev/null` afterwards.
    pub fn from_stdin() -> io::Result<Option<Self>> {
        let stdin = io::stdin();
        if socket_type(stdin.as_fd()).ok() != Some(SocketType::SEQPACKET) {
            return Ok(None);
        }
        let own = stdin.as_fd().try_clone_to_owned()?;
        rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
        Ok(Some(Self(own)))
    }

    /// Sends a message.
    pub fn send(&self, text: &str, files: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES_MAX))];
        let mut along = SendAncillaryBuffer::new(&mut space);
        if !files.is_empty() && !along.push(SendAncillaryMessage::ScmRights(files)) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many files for one message"));
        }
        sendmsg(&self.0, &[IoSlice::new(text.as_bytes())], &mut along, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    /// Waits for a message, for at most `limit`.
    pub fn receive(&self, limit: Duration) -> io::Result<(String, Vec<OwnedFd>)> {
        set_socket_timeout(&self.0, Timeout::Recv, Some(limit))?;
        let mut bytes = vec![0; BYTES_MAX];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES_MAX))];
        let mut along = RecvAncillaryBuffer::new(&mut space);
        let got = loop {
            let mut room = [IoSliceMut::new(&mut bytes)];
            match recvmsg(&self.0, &mut room, &mut along, RecvFlags::CMSG_CLOEXEC) {
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return Err(io::ErrorKind::TimedOut.into()),
                got => break got?.bytes,
            }
        };
        if got == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.truncate(got);
        let mut files = Vec::new();
        for message in along.drain() {
            if let RecvAncillaryMessage::ScmRights(it) = message {
                files.extend(it);
            }
        }
        let text = String::from_utf8(bytes).map_err(|it| io::Error::new(io::ErrorKind::InvalidData, it))?;
        Ok((text, files))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_stay_apart_and_bring_their_files() {
        let (one, other) = Passing::pair().unwrap();
        let other = Passing(other);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        one.send("first", &[listener.as_fd(), listener.as_fd()]).unwrap();
        one.send("second", &[]).unwrap();
        let (text, files) = other.receive(Duration::from_secs(5)).unwrap();
        assert_eq!((text.as_str(), files.len()), ("first", 2));
        let copy = std::net::TcpListener::from(files.into_iter().next().unwrap());
        assert_eq!(copy.local_addr().unwrap(), listener.local_addr().unwrap());
        assert_eq!(other.receive(Duration::from_secs(5)).unwrap().0, "second");
        let waited = other.receive(Duration::from_millis(10)).unwrap_err();
        assert_eq!(waited.kind(), io::ErrorKind::TimedOut);
        drop(one);
        assert_eq!(other.receive(Duration::from_secs(5)).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
