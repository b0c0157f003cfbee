//! A worker's end of the log: a queue with a bound, and the bell of the thread at its other end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;

use super::record::Record;
use super::series::LogSeries;

/// Records that wait for each worker. At ten thousand requests a second the sink may stand still for a
/// fifth of a second; what comes then is counted and forgotten. Two megabytes for each worker.
const QUEUE: usize = 2048;

/// Where one worker hands its records over. It never waits.
pub struct Outlet {
    queue: SyncSender<Record>,
    bell: Arc<Bell>,
    series: Arc<LogSeries>,
    worker: usize,
}

/// Wakes the writer, if it sleeps.
#[derive(Default)]
pub(super) struct Bell {
    asleep: AtomicBool,
    writer: OnceLock<Thread>,
}

/// One outlet for each worker, and what the writer takes from.
pub(super) fn outlets(
    workers: usize,
    series: &Arc<LogSeries>,
) -> (Vec<Outlet>, Vec<Receiver<Record>>, Arc<Bell>) {
    let bell = Arc::new(Bell::default());
    let pairs = (0..workers).map(|worker| {
        let (queue, taken) = sync_channel(QUEUE);
        (Outlet { queue, bell: Arc::clone(&bell), series: Arc::clone(series), worker }, taken)
    });
    let (outlets, queues) = pairs.unzip();
    (outlets, queues, bell)
}

impl Outlet {
    /// Hands over a copy, or counts that there was no room. Only the outlet's worker may call this.
    pub fn hand(&self, record: &Record) {
        // A writer that is gone takes nothing, like one that is too slow.
        match self.queue.try_send(record.clone()) {
            Ok(()) => self.bell.ring(),
            Err(_) => self.series.overflown[self.worker].add(1),
        }
    }
}

impl Bell {
    /// Wakes the writer. Usually it is awake, and this is one look.
    pub(super) fn ring(&self) {
        if self.asleep.load(Ordering::SeqCst)
            && self.asleep.swap(false, Ordering::SeqCst)
            && let Some(writer) = self.writer.get()
        {
            writer.unpark();
        }
    }

    /// From now on this thread is the one that is woken.
    pub(super) fn belongs_to(&self, writer: Thread) {
        // There is one writer, so nobody was here before.
        let _ = self.writer.set(writer);
    }

    /// Whoever rings from now on wakes the writer; it must look once more before it sleeps.
    pub(super) fn arm(&self) {
        self.asleep.store(true, Ordering::SeqCst);
    }

    /// The writer is awake.
    pub(super) fn disarm(&self) {
        self.asleep.store(false, Ordering::SeqCst);
    }
}
