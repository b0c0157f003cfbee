//! The new process's side.

use std::cell::Cell;
use std::env;
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use crate::runtime::{Inherited, InheritedSocket, Passing};

use super::{END, FAILED, GO, HELLO, MORE, PREPARED, READY, VARIABLE, WORD_WITHIN, YOURS};

/// A process that takes over from another one.
#[derive(Debug)]
pub struct Taker {
    way: Passing,
    /// Whether it has taken over.
    done: Cell<bool>,
    /// Whether the other process is gone.
    alone: Cell<bool>,
}

impl Taker {
    /// The other process's end, if there is one. To be called before anything else reads standard input.
    pub fn from_environment() -> Option<Self> {
        env::var_os(VARIABLE)?;
        // A child of the one that was meant has inherited the variable, and another standard input.
        let taker = |way| Self { way, done: Cell::default(), alone: Cell::default() };
        Passing::from_stdin().ok().flatten().map(taker)
    }

    /// What it is given.
    pub fn sockets(&self) -> io::Result<Vec<Inherited>> {
        let mut all = Vec::new();
        loop {
            let (text, files) = self.way.receive(WORD_WITHIN)?;
            let mut lines = text.lines();
            if lines.next() != Some(HELLO) {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the old process speaks otherwise"));
            }
            let mut files = files.into_iter();
            for line in lines {
                match line {
                    MORE => break,
                    END => return Ok(all),
                    // One file each, known or not.
                    line => all.extend(files.next().and_then(|file| inherited(line, file))),
                }
            }
        }
    }

    /// Says that everything is there but the journal, and waits until that is free.
    pub fn prepared(&self) -> io::Result<()> {
        self.say(PREPARED, YOURS)
    }

    /// Says that this process serves, and waits until it is the one in charge.
    pub fn ready(&self) -> io::Result<()> {
        self.say(READY, GO)?;
        self.done.set(true);
        Ok(())
    }

    /// Whether the old process has ended without a last word, so that nobody else has said who is in charge.
    pub fn is_alone(&self) -> bool {
        self.alone.get()
    }

    /// Says why it cannot take over, unless it has.
    pub fn failed(&self, why: &str) {
        if self.done.get() {
            return;
        }
        // Whoever waited for it is gone, or ends this process in a moment.
        let _ = self.way.send(&format!("{FAILED}{}", why.chars().take(WHY_MAX).collect::<String>()), &[]);
    }

    /// Says a word and waits for the next one. An old process that is gone says nothing more, and holds nothing
    /// any more: ending here as well would leave nobody to serve. One that changes its mind ends this process
    /// before it closes its end.
    fn say(&self, word: &str, awaited: &str) -> io::Result<()> {
        match self.way.send(word, &[]).and_then(|()| self.hear(awaited)) {
            Err(error) if is_gone(&error) => {
                if !self.alone.replace(true) {
                    tracing::warn!(
                        "the old process ended in the middle of the hand-over: this one takes over"
                    );
                }
                Ok(())
            }
            heard => heard,
        }
    }

    fn hear(&self, wanted: &str) -> io::Result<()> {
        while self.way.receive(WORD_WITHIN)?.0 != wanted {}
        Ok(())
    }
}

fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

/// `tcp NAME ADDRESS` or `unix NAME PATH`.
fn inherited(line: &str, file: OwnedFd) -> Option<Inherited> {
    let (kind, rest) = line.split_once(' ')?;
    let (name, place) = rest.split_once(' ')?;
    let name = (name != "-").then(|| name.to_owned());
    let socket = match kind {
        "tcp" => InheritedSocket::Tcp(TcpListener::from(file)),
        "unix" => InheritedSocket::Unix(UnixListener::from(file), PathBuf::from(place)),
        _ => return None,
    };
    Some(Inherited { name, socket })
}

/// More than any error needs, less than a message may have.
const WHY_MAX: usize = 4_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_not_known_are_passed_over() {
        let file = || OwnedFd::from(TcpListener::bind("127.0.0.1:0").unwrap());
        let named = inherited("tcp http 127.0.0.1:80", file()).unwrap();
        assert_eq!(named.name.as_deref(), Some("http"));
        assert!(matches!(named.socket, InheritedSocket::Tcp(_)));
        let unix = inherited("unix - /run/with a space", file()).unwrap();
        assert_eq!(unix.name, None);
        assert!(matches!(unix.socket, InheritedSocket::Unix(_, path) if path == *"/run/with a space"));
        for line in ["quic http 127.0.0.1:443", "tcp", "", "unix x"] {
            assert!(inherited(line, file()).is_none(), "{line}");
        }
    }
}
