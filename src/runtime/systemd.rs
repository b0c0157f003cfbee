//! What systemd is told, if it started us.

use std::time::Duration;

use sd_notify::NotifyState;

/// The service manager at the other end of `$NOTIFY_SOCKET`; without one, all of this does nothing.
///
/// Messages that cannot be delivered are left out: a server does not fail because nobody listens.
#[derive(Clone, Copy, Debug)]
pub struct ServiceManager {
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// Reads from the environment what the service manager expects.
    pub fn from_environment() -> Self {
        Self { watchdog: sd_notify::watchdog_enabled() }
    }

    /// How often [`ping`](Self::ping) must come: half of the time after which we would be killed, as
    /// `sd_watchdog_enabled(3)` advises. `None` if there is no watchdog.
    pub fn ping_every(&self) -> Option<Duration> {
        self.watchdog.map(|limit| limit / 2)
    }

    /// The first configuration serves, or a reload is over.
    pub fn ready(&self, status: &str) {
        send(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// A reload begins; [`ready`](Self::ready) ends it. The time stamp is what `Type=notify-reload`
    /// tells two reloads apart by.
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(at) => send(&[NotifyState::Reloading, at]),
            Err(_) => send(&[NotifyState::Reloading]),
        }
    }

    /// One line for `systemctl status`.
    pub fn status(&self, text: &str) {
        send(&[NotifyState::Status(text)]);
    }

    /// The end has begun.
    pub fn stopping(&self) {
        send(&[NotifyState::Stopping]);
    }

    /// Another process is the one to watch from now on.
    pub fn main_is(&self, process: u32) {
        send(&[NotifyState::MainPid(process)]);
    }

    /// Still alive.
    pub fn ping(&self) {
        send(&[NotifyState::Watchdog]);
    }
}

fn send(state: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(state);
}
