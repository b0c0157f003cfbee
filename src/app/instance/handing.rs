//! Handing over to a new process, or going on as if nothing had happened.

use std::os::fd::OwnedFd;

use rustix::process::{Signal as Number, pidfd_send_signal};
use tokio::sync::{mpsc, oneshot};

use crate::admin::{Answering, Entry, Upgrade};
use crate::runtime::{Signal, Signals, spawn_thread};

use super::super::handover::Successor;
use super::opening::open_store;
use super::{Instance, Told};

/// What somebody who asked for a hand-over is told: the new process, or why there is none.
pub(super) type Reply = oneshot::Sender<Result<u32, String>>;

/// Passes requests of operators on to whoever attends.
pub(super) struct Requests(pub mpsc::Sender<Reply>);

impl Upgrade for Requests {
    fn upgrade(&self) -> Answering<'_, Result<u32, String>> {
        Box::pin(async {
            let (reply, answer) = oneshot::channel();
            let stopping = || Err("tidegate is stopping".to_owned());
            match self.0.send(reply).await {
                Ok(()) => answer.await.unwrap_or_else(|_| stopping()),
                Err(_) => stopping(),
            }
        })
    }
}

impl Instance {
    /// Hands over, unless that fails or a signal says stop. `None`: this process goes on.
    pub(super) async fn upgrade(&self, reply: Option<Reply>, signals: &mut Signals) -> Option<Told> {
        let done = tokio::select! {
            done = self.hand_over() => done,
            told = told_to_stop(signals) => {
                tracing::warn!("told to stop in the middle of a hand-over: it is off");
                self.doorman.set(Entry::Open);
                return Some(told);
            }
        };
        match &done {
            Ok(process) => tracing::info!(process, "handed over; this process finishes what is under way"),
            Err(why) => {
                tracing::error!("the hand-over failed, this process goes on: {why}");
                self.manager.status(&format!("serving; the hand-over to a new process failed: {why}"));
            }
        }
        let told = done.is_ok().then_some(Told::HandedOver);
        if let Some(reply) = reply {
            // Who asked may have gone.
            let _ = reply.send(done);
        }
        told
    }

    /// Answers those who have asked for another hand-over meanwhile.
    pub(super) async fn turn_away(&self) {
        let mut asked = self.asked.lock().await;
        asked.close();
        while let Some(reply) = asked.recv().await {
            // Who asked may have gone.
            let _ = reply.send(Err("another hand-over has just come first: ask the new process".to_owned()));
        }
    }

    async fn hand_over(&self) -> Result<u32, String> {
        let program = self.program.as_ref().ok_or("this server was not started by `tidegate run`")?;
        if self.ephemeral {
            return Err(
                "nothing is written down here, so a new process would know nothing of rollbacks".into()
            );
        }
        // Until the end of this, nothing is reloaded.
        let paused = self.reloader.pause().await;
        let failed = |doing: &str, error: std::io::Error| format!("failed to {doing}: {error}");
        let sockets = paused.copies().map_err(|it| failed("copy the sockets", it))?;
        let mut doors = self.doors.copies().map_err(|it| failed("copy the admin doors", it))?;
        if let Some(socket) = &mut doors.socket {
            socket.ours = self.doorman.owns_file();
        }
        tracing::info!(program = %program.path().display(), sockets = sockets.len(), "handing over");
        let named = format!("start `{}`", program.path().display());
        let successor = Successor::start(program).map_err(|it| failed(&named, it))?;
        let (process, mut leash) = (successor.process(), Leash(successor.handle().ok()));
        let prepared = on_a_thread(successor, move |it| it.prepare(&sockets, &doors)).await;
        let (mut successor, prepared) = prepared.ok_or("no thread to wait on")?;
        if let Err(why) = prepared {
            successor.end();
            return Err(why);
        }
        self.doorman.set(Entry::Held);
        // Whoever takes over reads how far this process has got.
        self.notifications.rest().await;
        self.controller.release().await;
        let (mut successor, ready) =
            on_a_thread(successor, Successor::yield_to).await.ok_or("no thread to wait on")?;
        if let Err(why) = ready {
            successor.end();
            self.take_back().await;
            return Err(why);
        }
        // While this is still the process that the service manager listens to.
        self.manager.main_is(process);
        successor.release();
        self.doorman.set(Entry::Given);
        leash.0 = None;
        Ok(process)
    }

    /// Takes up the journal again.
    async fn take_back(&self) {
        let journal = open_store(&self.state).await;
        if let Err(error) = &journal {
            tracing::error!(%error, "the new process has left a journal that cannot be read here");
        }
        self.controller.take_back(journal.ok()).await;
        self.notifications.resume();
        self.doorman.set(Entry::Open);
    }
}

/// Waits without holding up anybody else. Given up, the wait ends with the process that is waited for.
async fn on_a_thread(
    mut successor: Successor,
    wait: impl FnOnce(&mut Successor) -> Result<(), String> + Send + 'static,
) -> Option<(Successor, Result<(), String>)> {
    let (done, waited) = oneshot::channel();
    let thread = spawn_thread("handover", None, move || {
        let result = wait(&mut successor);
        // Whoever waited may have been told to stop.
        let _ = done.send((successor, result));
    });
    thread.ok()?;
    waited.await.ok()
}

async fn told_to_stop(signals: &mut Signals) -> Told {
    loop {
        match signals.next().await {
            Signal::Stop => return Told::Stop,
            Signal::StopAtOnce => return Told::StopAtOnce,
            Signal::Reload | Signal::Reopen | Signal::Upgrade => {
                tracing::warn!("a hand-over is under way: not now")
            }
        }
    }
}

/// Ends a process when it is let go of: a successor that nobody waits for any more must not serve.
struct Leash(Option<OwnedFd>);

impl Drop for Leash {
    fn drop(&mut self) {
        if let Some(process) = &self.0 {
            // It may have ended by itself.
            let _ = pidfd_send_signal(process, Number::KILL);
        }
    }
}
