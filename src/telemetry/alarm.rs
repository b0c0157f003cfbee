//! The bell between a worker that saw a failure and the controller that may have to act on it.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Wakes the controller early. It rings once for each time it was armed, so that a version that fails
/// ten thousand times a second costs its worker one relaxed load for each failure and no more.
///
/// A failure that falls between two armings is not lost: its count is there at the next tick. The bell
/// only makes the next look come sooner.
#[derive(Debug, Default)]
pub struct Alarm {
    armed: AtomicBool,
    bell: Notify,
}

impl Alarm {
    /// Lets the next judged failure ring the bell.
    pub fn arm(&self) {
        self.armed.store(true, Ordering::Release);
    }

    /// Keeps the bell quiet until it is armed again.
    pub fn disarm(&self) {
        self.armed.store(false, Ordering::Release);
    }

    /// Whether the next judged failure rings the bell.
    pub fn is_armed(&self) -> bool {
        self.armed.load(Ordering::Acquire)
    }

    /// Waits until the bell rings. A ring that nobody waited for is kept for the next to wait.
    pub async fn raised(&self) {
        self.bell.notified().await;
    }

    /// Rings if armed. The relaxed load comes first because it is all that most failures cost.
    pub(super) fn raise(&self) {
        if self.armed.load(Ordering::Relaxed) && self.armed.swap(false, Ordering::AcqRel) {
            self.bell.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn it_rings_once_for_each_arming() {
        let alarm = Alarm::default();
        alarm.raise();
        assert!(!alarm.is_armed());
        alarm.arm();
        alarm.raise();
        alarm.raise();
        assert!(!alarm.is_armed(), "ringing disarms");
        alarm.raised().await;
        let second = tokio::time::timeout(std::time::Duration::from_millis(1), alarm.raised()).await;
        assert!(second.is_err(), "two failures, one arming, one ring");
    }
}
