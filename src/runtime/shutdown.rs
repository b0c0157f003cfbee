//! How the process comes to its end: first it drains, then it cuts.

use std::sync::Arc;

use tokio::sync::watch;

/// How far the end has come. It only ever moves on.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Phase {
    /// No end in sight.
    #[default]
    Serving,
    /// Nothing new is begun; what has begun may finish.
    Draining,
    /// Everything stops now.
    Cutting,
}

/// The switch. Clones move the same one.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(Arc<watch::Sender<Phase>>);

/// One part's view of the switch; it can be waited on from any runtime.
#[derive(Clone, Debug)]
pub struct ShutdownWatch(watch::Receiver<Phase>);

impl Shutdown {
    /// A switch that nobody has touched.
    pub fn new() -> Self {
        Self::default()
    }

    /// A view for one part.
    pub fn watch(&self) -> ShutdownWatch {
        ShutdownWatch(self.0.subscribe())
    }

    /// How far the end has come.
    pub fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// Begins to drain, unless that has happened.
    pub fn drain(&self) {
        self.advance_to(Phase::Draining);
    }

    /// Stops everything now.
    pub fn cut(&self) {
        self.advance_to(Phase::Cutting);
    }

    fn advance_to(&self, phase: Phase) {
        self.0.send_if_modified(|now| {
            let later = phase > *now;
            *now = phase.max(*now);
            later
        });
    }
}

impl ShutdownWatch {
    /// How far the end has come.
    pub fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// Waits until nothing new is to be begun. A switch that is gone counts as drained.
    pub async fn draining(&mut self) {
        self.reached(Phase::Draining).await;
    }

    /// Waits until everything is to stop.
    pub async fn cutting(&mut self) {
        self.reached(Phase::Cutting).await;
    }

    async fn reached(&mut self, phase: Phase) {
        // An error means that the switch is gone, and with it the process's reason to go on.
        let _ = self.0.wait_for(|now| *now >= phase).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn it_only_moves_on() {
        let switch = Shutdown::new();
        let mut watch = switch.watch();
        assert_eq!(watch.phase(), Phase::Serving);
        switch.drain();
        assert_eq!(switch.phase(), Phase::Draining);
        watch.draining().await;
        switch.cut();
        assert_eq!(switch.phase(), Phase::Cutting);
        switch.drain();
        assert_eq!(switch.phase(), Phase::Cutting);
        watch.cutting().await;
    }
}
