//! How an instance comes to its end: it says so, goes on accepting for a while, finishes what is under
//! way, and cuts what does not finish in time.

use std::time::Duration;

use crate::runtime::{Signal, Signals};

use super::super::logging;
use super::super::run::RunError;
use super::Instance;

/// How long the end may take.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// How long connections are still accepted, for load balancers to notice.
    pub lame_duck: Duration,
    /// After that, how long requests may take to finish.
    pub drain: Duration,
}

impl Times {
    /// No time at all: what is under way is cut.
    pub const NONE: Self = Self { lame_duck: Duration::ZERO, drain: Duration::ZERO };
}

impl Instance {
    /// Takes everything down. A further signal cuts what is left at once.
    pub async fn stop(self, times: Times, signals: &mut Signals) -> Result<(), RunError> {
        self.shutdown.drain();
        self.manager.stopping();
        self.drain(times, signals).await;
        self.end(times.lame_duck + times.drain).await
    }

    /// Finishes what is under way after another process has taken over: nothing new is begun here.
    pub async fn leave(self, times: Times, signals: &mut Signals) -> Result<(), RunError> {
        self.turn_away().await;
        self.shutdown.drain();
        // In this order: connections are not to take it for a listener that the file has lost.
        self.proxy.drain(times.lame_duck);
        self.reloader.close_listeners().await;
        self.proxy.close_silent();
        let finish = async {
            // Whoever asked for the hand-over has its answer by then.
            tokio::time::sleep(LAST_WORDS).await;
            self.finish(times.lame_duck + times.drain).await;
        };
        tokio::select! {
            () = finish => {}
            () = told_again(signals) => tracing::warn!("told to stop: ending now"),
        }
        self.end(Duration::ZERO).await
    }

    /// Waits until no connection is left, or this time has passed.
    async fn finish(&self, within: Duration) {
        let end = tokio::time::Instant::now() + within;
        while self.proxy.connections() > 0 && tokio::time::Instant::now() < end {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Lets what is under way finish.
    async fn drain(&self, times: Times, signals: &mut Signals) {
        let Times { lame_duck, drain } = times;
        let proxy = &self.proxy;
        tracing::info!(connections = proxy.connections(), "stopping: finishing what is under way");
        proxy.drain(lame_duck);
        let finish = async {
            tokio::time::sleep(lame_duck).await;
            self.reloader.close_listeners().await;
            proxy.close_silent();
            self.finish(drain).await;
        };
        tokio::select! {
            () = finish => {}
            () = told_again(signals) => tracing::warn!("told to stop a second time: ending now"),
        }
    }

    /// Ends all parts in their order. Last notifications have this time at most.
    async fn end(self, within: Duration) -> Result<(), RunError> {
        self.pulse.abort();
        self.shutdown.cut();
        // A server that failed has said so in the log.
        let _ = self.admin.await;
        self.controller.stop().await;
        self.notifications.finish(within).await;
        // A controller that fell has said so in the log.
        let _ = self.controlling.join();
        let cut = self.proxy.stop();
        logging::finish(self.reloader.take_log().await);
        match cut {
            0 => Ok(()),
            cut => {
                tracing::warn!(connections = cut, "cut: they did not finish in time");
                Err(RunError::Cut(cut))
            }
        }
    }
}

async fn told_again(signals: &mut Signals) {
    while !matches!(signals.next().await, Signal::Stop | Signal::StopAtOnce) {
        tracing::warn!("coming to an end: nothing is loaded any more");
    }
}

/// How long answers of the admin interface may take that were under way when it was over.
const LAST_WORDS: Duration = Duration::from_millis(250);

/// Between looks at whether everything is finished.
const LOOK_EVERY: Duration = Duration::from_millis(20);
