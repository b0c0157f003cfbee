//! Commands: each in a process group of its own, which ends with it, at its time limit, or when it is
//! called off, whatever children it has.
//!
//! A child that leaves the group on purpose (`setsid`) is out of reach, and so are children of a tidegate
//! that is killed itself; a service manager that ends the whole control group (as systemd does) reaches
//! both.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::{Notify, oneshot};

use crate::runtime::spawn_thread;

use super::output::Output;
use super::{Finding, Report, Subject};

/// Runs a command to its end and says how it went.
pub(super) async fn run(subject: &Subject, argv: &[String], limit: Duration, leash: &Leash) -> Report {
    let mut output = Output::default();
    let finding = match begin(subject, argv, leash) {
        Ok((said, ended)) => {
            // However this future ends, so does the group.
            let _end = EndWithMe(leash);
            follow(said, ended, limit, leash, &mut output).await
        }
        Err(error) => {
            let program = argv.first().map_or("", String::as_str);
            Finding::Failed(format!("`{program}` cannot be started: {error}"))
        }
    };
    Report { finding, output: output.text() }
}

/// Holds the group that is running, so that it can be ended from any thread at any time.
#[derive(Clone, Debug, Default)]
pub(super) struct Leash(Arc<Slack>);

#[derive(Debug, Default)]
struct Slack {
    held: Mutex<Held>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Held {
    group: Option<Pid>,
    called_off: bool,
}

impl Leash {
    /// Ends what is running, and what would be started from now on.
    pub fn call_off(&self) {
        let mut held = self.lock();
        held.called_off = true;
        end(held.group);
        // One waits at most, and finds the permit if it comes later.
        self.0.changed.notify_one();
    }

    /// Whether nobody wants to know any more.
    pub fn is_called_off(&self) -> bool {
        self.lock().called_off
    }

    /// Waits until nobody wants to know any more.
    pub async fn called_off(&self) {
        while !self.is_called_off() {
            self.0.changed.notified().await;
        }
    }

    /// Ends what is running.
    fn kill(&self) {
        end(self.lock().group);
    }

    fn hold(&self, group: Pid) {
        let mut held = self.lock();
        held.group = Some(group);
        if held.called_off {
            end(held.group);
        }
    }

    /// The leader has ended and is not reaped yet, so the number still means this group: the rest of it
    /// ends as well, and from now on nobody signals that number.
    fn release(&self) {
        end(self.lock().group.take());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Held> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn end(group: Option<Pid>) {
    if let Some(group) = group {
        // It may have ended by itself.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

struct EndWithMe<'a>(&'a Leash);

impl Drop for EndWithMe<'_> {
    fn drop(&mut self) {
        self.0.kill();
    }
}

type Ended = oneshot::Receiver<io::Result<ExitStatus>>;

fn begin(subject: &Subject, argv: &[String], leash: &Leash) -> io::Result<(pipe::Receiver, Ended)> {
    let (reader, writer) = io::pipe()?;
    let said = pipe::Receiver::from_owned_fd(OwnedFd::from(reader))?;
    let [program, arguments @ ..] = argv else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "an empty command"));
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(environment(subject))
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .process_group(0);
    let child = command.spawn()?;
    let (done, ended) = oneshot::channel();
    leash.hold(Pid::from_child(&child));
    let leash = leash.clone();
    // Waiting blocks, and there is one such thread for each running command, which are few.
    spawn_thread("check", None, move || reap(child, &leash, done))?;
    Ok((said, ended))
}

/// What a command may see: enough to find programs, and what it is about. Secrets that tidegate itself
/// was given in its environment stay here.
fn environment(subject: &Subject) -> Vec<(OsString, OsString)> {
    let kept = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR"];
    let kept = kept.iter().filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)));
    let own = [
        ("TIDEGATE_SERVICE", subject.service.to_string()),
        ("TIDEGATE_VERSION", subject.version.to_string()),
        ("TIDEGATE_ENDPOINT", subject.endpoint.clone()),
    ];
    kept.chain(own.map(|(name, value)| (name.into(), value.into()))).collect()
}

fn reap(mut child: Child, leash: &Leash, done: oneshot::Sender<io::Result<ExitStatus>>) {
    let leader = Pid::from_child(&child);
    // Seen to have ended, but not taken away: the number cannot be given to another process meanwhile.
    let seen = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(leader), seen) {}
    leash.release();
    // Whoever asked may have gone.
    let _ = done.send(child.wait());
}

async fn follow(
    mut said: pipe::Receiver,
    mut ended: Ended,
    limit: Duration,
    leash: &Leash,
    output: &mut Output,
) -> Finding {
    let mut buffer = vec![0; 8 * 1024];
    let mut open = true;
    let to_its_end = async {
        loop {
            tokio::select! {
                read = said.read(&mut buffer), if open => match read {
                    Ok(0) | Err(_) => open = false,
                    Ok(count) => output.push(&buffer[..count]),
                },
                status = &mut ended => return status,
            }
        }
    };
    let finding = match tokio::time::timeout(limit, to_its_end).await {
        Ok(Ok(Ok(status))) if status.success() => Finding::Passed,
        Ok(Ok(Ok(status))) => Finding::Failed(described(status)),
        Ok(Ok(Err(error))) => Finding::Unknown(format!("its end was not seen: {error}")),
        Ok(Err(_)) => Finding::Unknown("its end was not seen".into()),
        Err(_) => {
            leash.kill();
            Finding::Failed(format!("not done within {limit:?}; ended with its children"))
        }
    };
    // What is in the pipe already, whether or not the runtime has heard of it. The group is ending, so the
    // end comes soon; one that escaped may hold the pipe open for ever.
    let rest = async {
        while let Ok(count @ 1..) = said.read(&mut buffer).await {
            output.push(&buffer[..count]);
        }
    };
    // What is not there by then is not waited for.
    let _ = tokio::time::timeout(DRAIN_WITHIN, rest).await;
    finding
}

fn described(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("ended by signal {signal}"),
        (None, None) => "ended".into(),
    }
}

/// A pipe that is still open after this belongs to a process that escaped.
const DRAIN_WITHIN: Duration = Duration::from_millis(200);
