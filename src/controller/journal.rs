//! The journal's own thread: a disk that hangs must never hold up a flip.

use std::io;
use std::sync::mpsc;

use tokio::sync::{mpsc as acks, oneshot};

use crate::runtime::spawn_thread;
use crate::store::{Record, Recovered, Store};

/// Something to be written down, known by its number.
#[derive(Debug)]
pub(super) struct Job {
    pub number: u64,
    pub records: Vec<Record>,
}

/// What became of a job.
#[derive(Debug)]
pub(super) struct Ack {
    pub number: u64,
    /// On disk, or why not.
    pub result: Result<(), String>,
    /// What is not on disk.
    pub lost: Vec<Record>,
}

/// Hands jobs to the thread, which does them in their order.
#[derive(Debug)]
pub(super) struct Journal {
    orders: mpsc::Sender<Order>,
}

enum Order {
    Write(Job),
    Recall(oneshot::Sender<Recovered>),
    Close(oneshot::Sender<()>),
}

impl Journal {
    /// Starts the thread. It ends when the journal is dropped and everything is written.
    pub fn start(mut store: Store) -> io::Result<(Self, acks::UnboundedReceiver<Ack>)> {
        let (orders, todo) = mpsc::channel();
        let (done, acks) = acks::unbounded_channel();
        spawn_thread("journal", None, move || {
            while let Ok(order) = todo.recv() {
                match order {
                    Order::Write(Job { number, records }) => {
                        let result = store.append(&records).map_err(|error| described(&error));
                        // The controller may be gone; the record is written all the same.
                        let lost = if result.is_err() { records } else { Vec::new() };
                        let _ = done.send(Ack { number, result, lost });
                    }
                    Order::Recall(reply) => {
                        let _ = reply.send(store.recall());
                    }
                    Order::Close(reply) => {
                        // With it goes the lock on the directory.
                        drop(store);
                        let _ = reply.send(());
                        return;
                    }
                }
            }
        })?;
        Ok((Self { orders }, acks))
    }

    /// Writes in due time. `Err` when the thread is gone.
    pub fn write(&self, job: Job) -> Result<(), Job> {
        self.orders.send(Order::Write(job)).map_err(|it| match it.0 {
            Order::Write(job) => job,
            Order::Recall(_) | Order::Close(_) => Job { number: 0, records: Vec::new() },
        })
    }

    /// Writes what there is to write and lets go of the directory. Afterwards nothing is written.
    pub async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        if self.orders.send(Order::Close(reply)).is_ok() {
            // An error means that the thread is gone, and the directory free with it.
            let _ = closed.await;
        }
    }

    /// Everything that is on disk by now.
    pub async fn recall(&self) -> Option<Recovered> {
        let (reply, answer) = oneshot::channel();
        self.orders.send(Order::Recall(reply)).ok()?;
        answer.await.ok()
    }
}

/// An error with its causes in one line.
fn described(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |it| it.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
