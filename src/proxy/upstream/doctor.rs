//! The doctor: asks endpoints how they are, and has their names looked up, off the request path, on a thread
//! of its own.
//!
//! Level-triggered: whatever has changed (a table, an accusation by a worker, an answer, time), it does
//! what its book ([`super::ward`]) says is due and sleeps until the next thing is.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::routing::{Publisher, Reader, Table};
use crate::runtime::{Clock, contained_async, mishap, spawn_thread};

use super::checkup::ask;
use super::health::Board;
use super::names::{Names, Registrar};
use super::site::Place;
use super::ward::{Arrival, Ask, Ward};

/// How long it rests after a panic, so that it does not fall all the time.
const STAND_UP_AFTER: Duration = Duration::from_millis(200);

/// A doctor at work. Ends when it is let go of.
pub struct Doctor {
    thread: Option<JoinHandle<()>>,
    stop: Option<oneshot::Sender<()>>,
}

impl Doctor {
    /// Looks after the endpoints of every table that `publisher` publishes.
    pub fn start(
        publisher: &Publisher,
        (board, names): (&Board, &Names),
        clock: &Clock,
        seed: u64,
    ) -> io::Result<Self> {
        let bell = Arc::clone(&board.bell);
        publisher.on_publish(move || bell.notify_one());
        let (stop, stopped) = oneshot::channel();
        let (reader, clock) = (publisher.reader(), clock.clone());
        let (board, names) = (board.clone(), names.clone());
        let thread = spawn_thread("doctor", None, move || {
            let options = tokio::runtime::LocalOptions::default();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build_local(options);
            match runtime {
                Ok(runtime) => {
                    runtime.block_on(stay(reader, (board, names), clock, seed, stopped));
                    // A name that is being looked up keeps nobody waiting.
                    runtime.shutdown_background();
                }
                Err(error) => tracing::error!(%error, "nobody asks endpoints how they are"),
            }
        })?;
        Ok(Self { thread: Some(thread), stop: Some(stop) })
    }
}

/// Waits until enough is known of the endpoints of `table` to choose among them, or this time has passed.
pub async fn acquainted(table: &Table, (board, names): (&Board, &Names), within: Duration) {
    for it in arrivals(table, names) {
        // Those that nobody has met are waited for, too.
        board.health(&it.place, it.checkup.is_some());
    }
    let known = async {
        while !board.knows_enough() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    // Endpoints that never answer keep nobody.
    let _ = tokio::time::timeout(within, known).await;
}

/// Between looks at what is known of endpoints.
const LOOK_EVERY: Duration = Duration::from_millis(5);

impl Drop for Doctor {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // One that fell has said so in the log.
            let _ = thread.join();
        }
    }
}

/// Attends until it is told to stop. After a panic it goes on with the same book: who was left out stays so
/// for its time.
async fn stay(
    reader: Reader,
    (board, names): (Board, Names),
    clock: Clock,
    seed: u64,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut ward = Ward::new();
    let mut random = SmallRng::seed_from_u64(seed);
    loop {
        let attending = attend(reader.clone(), (&board, &names), &clock, &mut random, &mut ward);
        tokio::select! {
            _ = contained_async(attending) => {}
            _ = &mut stopped => return,
        }
        // Answers to what was under way are lost.
        ward.forget_questions(clock.now());
        tokio::time::sleep(STAND_UP_AFTER).await;
    }
}

async fn attend(
    mut reader: Reader,
    (board, names): (&Board, &Names),
    clock: &Clock,
    random: &mut SmallRng,
    ward: &mut Ward,
) {
    let mut registrar = Registrar::new(names.clone());
    let mut asked = JoinSet::new();
    let mut seen: Option<Arc<Table>> = None;
    let mut known = names.revision();
    loop {
        mishap("doctor");
        let table = reader.current();
        let is_new = !seen.as_ref().is_some_and(|it| Arc::ptr_eq(it, table));
        if is_new {
            registrar.follow(table, clock.now());
        }
        if is_new || known != names.revision() {
            known = names.revision();
            ward.admit(arrivals(table, names), board, clock.now());
            seen = Some(Arc::clone(table));
        }
        let due = registrar.round(clock.now());
        let (asks, next) = ward.round(clock.now());
        for Ask { place, number, checkup } in asks {
            let names = names.clone();
            asked.spawn_local(async move {
                let answer = ask(&place.site, &checkup, &names).await;
                (place, number, answer)
            });
        }
        // A little later rather than a little earlier, when nothing would be due.
        let left = next.min(due).since(clock.now()) + Duration::from_millis(1);
        tokio::select! {
            Some(done) = asked.join_next() => if let Ok((place, number, answer)) = done {
                ward.heard(&place, number, &answer, clock.now(), random.random());
            },
            Some((name, answer)) = registrar.answered() => {
                registrar.heard(&name, answer, clock.now());
            }
            () = board.bell.notified() => {}
            () = tokio::time::sleep(left) => {}
        }
    }
}

/// Everybody a table names.
fn arrivals(table: &Table, names: &Names) -> Vec<Arrival> {
    let mut all = Vec::new();
    for service in &table.services {
        let spec = &service.spec;
        for version in &spec.versions {
            for site in version.endpoints.iter().flat_map(|it| names.sites(it)) {
                let (service, version_name) = (spec.name.clone(), version.name.clone());
                let place = Place { service, version: version_name, site };
                all.push(Arrival { place, checkup: version.health.clone(), care: spec.care });
            }
        }
    }
    all
}
