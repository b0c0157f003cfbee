//! The signals a server answers to.

use std::io;

use tokio::signal::unix::{self, SignalKind};

/// What somebody outside asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signal {
    /// `SIGTERM` or `SIGINT`: come to an end; a second one means at once.
    Stop,
    /// `SIGQUIT`: end without waiting for anything that is under way.
    StopAtOnce,
    /// `SIGHUP`: load the configuration again.
    Reload,
    /// `SIGUSR1`: open the log files anew.
    Reopen,
    /// `SIGUSR2`: hand over to a new process.
    Upgrade,
}

/// Receives signals; from its making on, the default actions are off.
#[derive(Debug)]
pub struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    quit: unix::Signal,
    hang_up: unix::Signal,
    user_one: unix::Signal,
    user: unix::Signal,
}

impl Signals {
    /// Starts to receive. Must be called within a tokio runtime.
    pub fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: unix::signal(SignalKind::terminate())?,
            interrupt: unix::signal(SignalKind::interrupt())?,
            quit: unix::signal(SignalKind::quit())?,
            hang_up: unix::signal(SignalKind::hangup())?,
            user_one: unix::signal(SignalKind::user_defined1())?,
            user: unix::signal(SignalKind::user_defined2())?,
        })
    }

    /// Waits for the next one. Nothing is lost if the wait is given up, but equal signals that come
    /// faster than they are taken may arrive as one.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Stop,
            _ = self.interrupt.recv() => Signal::Stop,
            _ = self.quit.recv() => Signal::StopAtOnce,
            _ = self.hang_up.recv() => Signal::Reload,
            _ = self.user_one.recv() => Signal::Reopen,
            _ = self.user.recv() => Signal::Upgrade,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Signal as Number, getpid, kill_process};

    #[tokio::test(flavor = "current_thread")]
    async fn each_signal_has_its_meaning() {
        let mut signals = Signals::install().unwrap();
        for (number, meaning) in [
            (Number::HUP, Signal::Reload),
            (Number::USR1, Signal::Reopen),
            (Number::TERM, Signal::Stop),
            (Number::INT, Signal::Stop),
            (Number::QUIT, Signal::StopAtOnce),
            (Number::USR2, Signal::Upgrade),
        ] {
            kill_process(getpid(), number).unwrap();
            assert_eq!(signals.next().await, meaning);
        }
    }
}
