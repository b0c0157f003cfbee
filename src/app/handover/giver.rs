//! The old process's side.

use std::env;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::admin::GivenDoors;
use crate::proxy::GivenSocket;
use crate::runtime::{FILES_MAX, LentPorts, Passing};

use super::super::given::ADMIN;
use super::{END, FAILED, GO, HELLO, MORE, PREPARED, READY, VARIABLE, YOURS};

/// The program that this process was started from, to be started again.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
    /// How long each answer of the new process may take.
    within: Duration,
}

/// A process that is to take over.
pub(in super::super) struct Successor {
    child: Child,
    way: Passing,
    within: Duration,
}

impl Program {
    /// Remembers by which name this process was started, so that whatever lies there later is found, also
    /// behind a symbolic link. To be called early: a file that was replaced has no name any more.
    /// A new process that takes longer than `within` to answer is taken for one that hangs.
    pub fn of_process(within: Duration) -> io::Result<Self> {
        let mut arguments = env::args_os();
        let called = arguments.next().unwrap_or_default();
        let running = env::current_exe()?;
        let named = named(Path::new(&called)).filter(|it| is_same(it, &running));
        Ok(Self { path: named.unwrap_or(running), arguments: arguments.collect(), within })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The file that a shell would have found under that name.
fn named(called: &Path) -> Option<PathBuf> {
    if called.components().count() > 1 {
        return std::path::absolute(called).ok();
    }
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|it| it.join(called)).find(|it| it.is_file())
}

fn is_same(one: &Path, other: &Path) -> bool {
    let identity = |it: &Path| std::fs::metadata(it).map(|it| (it.dev(), it.ino())).ok();
    identity(one).is_some_and(|it| Some(it) == identity(other))
}

impl Successor {
    /// Starts it. Where this process reports and logs to, it does too.
    pub fn start(program: &Program) -> io::Result<Self> {
        let (way, theirs) = Passing::pair()?;
        let mut command = Command::new(&program.path);
        command.args(&program.arguments).env(VARIABLE, "1").stdin(Stdio::from(theirs));
        // Those name this process.
        for name in ["WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] {
            command.env_remove(name);
        }
        // It opens what its own file names.
        let lent = LentPorts::lend();
        let child = command.spawn();
        drop(lent);
        Ok(Self { child: child?, way, within: program.within })
    }

    /// Its number.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// A handle on it that stays good when its number is used again.
    pub fn handle(&self) -> io::Result<OwnedFd> {
        Ok(pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty())?)
    }

    /// Gives it all sockets and waits until it is prepared. Blocks.
    pub fn prepare(&mut self, sockets: &[GivenSocket], doors: &GivenDoors) -> Result<(), String> {
        let mut lines: Vec<(String, BorrowedFd<'_>)> = Vec::new();
        for it in sockets {
            let name = it.name.as_deref().unwrap_or_default();
            lines.push((format!("tcp {name} {}", it.address), it.socket.as_fd()));
        }
        if let Some(it) = &doors.tcp {
            lines.push((format!("tcp {ADMIN} -"), it.as_fd()));
        }
        if let Some(it) = &doors.socket {
            let name = if it.ours { ADMIN } else { "-" };
            lines.push((format!("unix {name} {}", it.path.display()), it.listener.as_fd()));
        }
        let mut left = lines.as_slice();
        loop {
            let (now, later) = left.split_at(left.len().min(FILES_MAX));
            let mut text = format!("{HELLO}\n");
            for (line, _) in now {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "{line}");
            }
            text += if later.is_empty() { END } else { MORE };
            let files: Vec<BorrowedFd<'_>> = now.iter().map(|it| it.1).collect();
            self.say(&text, &files)?;
            left = later;
            if left.is_empty() {
                break;
            }
        }
        self.hear(PREPARED)
    }

    /// Tells it that the journal is free and waits until it serves. Blocks.
    pub fn yield_to(&mut self) -> Result<(), String> {
        self.say(YOURS, &[])?;
        self.hear(READY)
    }

    /// From now on it is on its own.
    pub fn release(&mut self) {
        // If it is gone by now, a supervisor will see.
        let _ = self.way.send(GO, &[]);
    }

    /// Ends it.
    pub fn end(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn say(&mut self, text: &str, files: &[BorrowedFd<'_>]) -> Result<(), String> {
        self.way.send(text, files).map_err(|_| self.fate())
    }

    fn hear(&mut self, wanted: &str) -> Result<(), String> {
        loop {
            match self.way.receive(self.within) {
                Ok((text, _)) if text == wanted => return Ok(()),
                Ok((text, _)) if text.starts_with(FAILED) => {
                    return Err(format!("the new process says: {}", text[FAILED.len()..].trim_end()));
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    return Err(format!("the new process did not say `{wanted}` within {:?}", self.within));
                }
                Err(_) => return Err(self.fate()),
            }
        }
    }

    /// Why it says nothing more.
    fn fate(&mut self) -> String {
        for _ in 0..LOOKS {
            match self.child.try_wait() {
                Ok(Some(status)) => return format!("the new process ended: {status}"),
                Ok(None) => std::thread::sleep(LOOK_EVERY),
                Err(error) => return format!("the new process is gone: {error}"),
            }
        }
        "the new process does not know how to take over".to_owned()
    }
}

/// A process that has closed its end is about to end, or never knew what it was for.
const LOOKS: u32 = 50;
const LOOK_EVERY: Duration = Duration::from_millis(20);
