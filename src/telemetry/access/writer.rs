//! The thread that writes: takes records from all workers' queues, makes lines of them, and sends these
//! where they go. It alone waits for the sink.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

use crate::model::Timestamp;
use crate::runtime::{Clock, contained, mishap, spawn_thread};

use super::line::{Format, Lines};
use super::outlet::{Bell, Outlet, outlets};
use super::record::Record;
use super::series::LogSeries;
use super::sink::{Sink, Target};

/// Lines are written together up to this size: one system call for some hundred of them.
const BATCH_BYTES: usize = 64 * 1024;

/// After a batch, how long the next one gathers. Nobody reads a log faster.
const GATHER: Duration = Duration::from_millis(5);

/// How long the writer sleeps if nobody rings. Also how soon it notices that all workers are gone.
const NAP: Duration = Duration::from_millis(200);

/// How often it looks whether the file was moved away.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A log that is being written. Dropping it leaves the thread to finish by itself.
pub struct AccessLog {
    reopen: Arc<AtomicBool>,
    bell: Arc<Bell>,
    finished: Receiver<()>,
}

impl AccessLog {
    /// Opens `target` and starts the thread. The workers get the outlets, in their order; the log ends when
    /// all of them are dropped.
    pub fn start(
        target: &Target,
        format: Format,
        workers: usize,
        series: &Arc<LogSeries>,
        clock: &Clock,
    ) -> io::Result<(Self, Vec<Outlet>)> {
        let (outlets, queues, bell) = outlets(workers, series);
        let (done, finished) = sync_channel(1);
        let reopen = Arc::new(AtomicBool::new(false));
        let writer = Writer {
            queues,
            bell: Arc::clone(&bell),
            reopen: Arc::clone(&reopen),
            lines: Lines::new(format),
            sink: Sink::open(target)?,
            series: Arc::clone(series),
            looked: clock.now(),
            clock: clock.clone(),
            batch: Vec::with_capacity(BATCH_BYTES),
            failing: false,
            unopened: false,
        };
        spawn_thread("access-log", None, move || writer.run(&done))?;
        Ok((Self { reopen, bell, finished }, outlets))
    }

    /// Has the file opened anew: it was moved away, or its directory is another one now.
    pub fn reopen(&self) {
        self.reopen.store(true, Ordering::Release);
        self.bell.ring();
    }

    /// Waits until everything is written, but no longer than `limit`: a sink that blocks does not keep the
    /// process. The outlets must be gone. Whether it was in time.
    pub fn finish(self, limit: Duration) -> bool {
        self.bell.ring();
        !matches!(self.finished.recv_timeout(limit), Err(RecvTimeoutError::Timeout))
    }
}

struct Writer {
    queues: Vec<Receiver<Record>>,
    bell: Arc<Bell>,
    reopen: Arc<AtomicBool>,
    lines: Lines,
    sink: Sink,
    series: Arc<LogSeries>,
    clock: Clock,
    looked: Timestamp,
    batch: Vec<u8>,
    /// Whether the last batch was refused, so that this is said once.
    failing: bool,
    /// The same about opening the file anew.
    unopened: bool,
}

impl Writer {
    fn run(mut self, done: &SyncSender<()>) {
        self.bell.belongs_to(std::thread::current());
        while contained(|| self.work()).is_none() {
            self.stand_up();
        }
        // Whoever waited has given up.
        let _ = done.send(());
    }

    /// Until all workers are gone.
    fn work(&mut self) {
        loop {
            self.mind_the_file();
            if self.take() {
                std::thread::sleep(GATHER);
                continue;
            }
            if self.queues.is_empty() {
                return;
            }
            self.bell.arm();
            // A record that came before the bell was armed rings no more.
            if !self.take() {
                std::thread::park_timeout(NAP);
            }
            self.bell.disarm();
        }
    }

    /// After a panic: what it fell over is lost, and the lines before it are not.
    fn stand_up(&mut self) {
        self.bell.disarm();
        self.series.count(0, 1);
        let whole = self.batch.iter().rposition(|it| *it == b'\n').map_or(0, |it| it + 1);
        self.batch.truncate(whole);
        // If it falls over everything it does so slowly.
        std::thread::sleep(NAP);
    }

    /// Writes what there is; whether there was anything. Queues whose worker is gone leave.
    fn take(&mut self) -> bool {
        let mut any = false;
        let mut at = 0;
        while let Some(queue) = self.queues.get(at) {
            match queue.try_recv() {
                Ok(record) => {
                    any = true;
                    mishap("access-log");
                    self.lines.write(&record, &mut self.batch);
                    if self.batch.len() >= BATCH_BYTES - LINE_BYTES {
                        self.flush();
                    }
                }
                Err(TryRecvError::Empty) => at += 1,
                Err(TryRecvError::Disconnected) => drop(self.queues.remove(at)),
            }
        }
        self.flush();
        any
    }

    fn flush(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let written = self.sink.write(&self.batch);
        self.series.count(written.lines, written.lost);
        match written.error {
            Some(error) if !self.failing => {
                tracing::error!(%error, "the access log cannot be written; its lines are lost and counted");
            }
            None if self.failing => tracing::info!("the access log is written again"),
            _ => {}
        }
        self.failing = written.lost > 0;
        self.batch.clear();
    }

    fn mind_the_file(&mut self) {
        let now = self.clock.now();
        let asked = self.reopen.swap(false, Ordering::AcqRel);
        if !asked && now.since(self.looked) < LOOK_EVERY {
            return;
        }
        self.looked = now;
        if !asked && !self.sink.was_moved() {
            return;
        }
        let opened = self.sink.reopen();
        if let Err(error) = &opened
            && (asked || !self.unopened)
        {
            tracing::warn!(%error, "the access log cannot be opened anew; the old file goes on");
        }
        self.unopened = opened.is_err();
    }
}

/// Room for one line: escapes make up to six bytes of one.
const LINE_BYTES: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::record::Part;
    use super::*;

    fn record(path: &str) -> Record {
        let mut it = Record::default();
        it.put(Part::Path, path.as_bytes());
        it
    }

    #[test]
    fn everything_is_written_before_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        let series = Arc::new(LogSeries::new(2));
        let target = Target::File(path.clone());
        let (log, outlets) = AccessLog::start(&target, Format::Json, 2, &series, &Clock::system()).unwrap();
        for at in 0..200 {
            outlets[at % 2].hand(&record(&format!("/{at}")));
        }
        drop(outlets);
        assert!(log.finish(Duration::from_secs(10)));
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!((text.lines().count(), series.written(), series.overflown()), (200, 200, 0));
        assert!((0..200).all(|at| text.contains(&format!("\"path\":\"/{at}\""))));
    }

    #[test]
    fn a_sink_that_blocks_costs_records_and_no_time() {
        // A pipe that nobody reads, opened for both ways so that opening it does not wait.
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        let reader = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let series = Arc::new(LogSeries::new(1));
        let (log, outlets) =
            AccessLog::start(&Target::File(path), Format::Json, 1, &series, &Clock::system()).unwrap();
        let many = 20_000;
        for _ in 0..many {
            outlets[0].hand(&record("/"));
        }
        assert!(series.overflown() > many / 2, "{}", series.overflown());
        drop(outlets);
        assert!(!log.finish(Duration::from_millis(20)));
        drop(reader);
    }
}
