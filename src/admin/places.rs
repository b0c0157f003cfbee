//! How many may be in at once, and who has to go when somebody else comes.
//!
//! Whoever is being answered stays. A connection on which nothing is asked keeps its place only as long as
//! nobody needs it, and one that waits for news is told that there are none: so slow, silent or patient clients,
//! however many, keep nobody out.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use http::request::Parts;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

/// The places of one door.
#[derive(Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    /// Those that are taken, oldest first.
    taken: VecDeque<Weak<Seat>>,
}

/// A place for one connection.
#[derive(Debug)]
pub(super) struct Place {
    seat: Arc<Seat>,
    _permit: OwnedSemaphorePermit,
}

#[derive(Debug)]
struct Seat {
    busy: Arc<AtomicBool>,
    silent_since: Mutex<Instant>,
    needed: Notify,
    told: AtomicBool,
    /// Whether the answer is to wait for news, and what ends that.
    waits: AtomicBool,
    hurried: Notify,
}

/// Waits for news that a request asks for, at most so long. `None` if there are none by then, or if somebody else
/// needs the place of the connection.
pub(super) async fn wait<T>(head: &Parts, limit: Duration, news: impl Future<Output = T>) -> Option<T> {
    let news = timeout(limit, news);
    let Some(place) = head.extensions.get::<Weak<Place>>().and_then(Weak::upgrade) else {
        return news.await.ok();
    };
    place.seat.waits.store(true, Ordering::Relaxed);
    let came = tokio::select! {
        came = news => came.ok(),
        () = place.seat.hurried.notified() => None,
    };
    place.seat.waits.store(false, Ordering::Relaxed);
    came
}

impl Places {
    pub(super) fn new(count: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(count)), taken: VecDeque::new() }
    }

    /// Waits until there is room for one who has come.
    pub(super) async fn take(&mut self) -> Place {
        let permit = loop {
            let wanted = Arc::clone(&self.free).acquire_owned();
            if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
                break permit;
            }
            self.make_room();
            // If all are busy, one of them is done some time.
            if let Ok(permit) = timeout(LOOK_AGAIN, wanted).await {
                break permit.expect("this semaphore is never closed");
            }
        };
        self.taken.retain(|it| it.strong_count() > 0);
        let seat = Arc::new(Seat {
            busy: Arc::default(),
            silent_since: Mutex::new(Instant::now()),
            needed: Notify::new(),
            told: AtomicBool::new(false),
            waits: AtomicBool::new(false),
            hurried: Notify::new(),
        });
        self.taken.push_back(Arc::downgrade(&seat));
        Place { seat, _permit: permit }
    }

    /// Asks the one to go that has been silent for longest. If all are being answered, the first that waits for
    /// news is answered now, and silent in a moment.
    fn make_room(&self) {
        let seats: Vec<Arc<Seat>> = self.taken.iter().filter_map(Weak::upgrade).collect();
        let silent = seats.iter().find(|it| it.is_silent() && !it.told.load(Ordering::Relaxed));
        if let Some(seat) = silent {
            seat.told.store(true, Ordering::Relaxed);
            seat.needed.notify_one();
        } else if seats.iter().all(|it| it.busy.load(Ordering::Relaxed))
            && let Some(seat) = seats.iter().find(|it| it.waits.swap(false, Ordering::Relaxed))
        {
            seat.hurried.notify_one();
        }
    }
}

impl Seat {
    /// Whether it could go now. What has just begun, or was just answered, is under way.
    fn is_silent(&self) -> bool {
        let since = *self.silent_since.lock().unwrap_or_else(PoisonError::into_inner);
        !self.busy.load(Ordering::Relaxed) && since.elapsed() >= GRACE
    }
}

impl Place {
    /// Something is being answered here from now on, or is not any more.
    pub(super) fn set_busy(&self, busy: bool) {
        self.seat.busy.store(busy, Ordering::Relaxed);
        *self.seat.silent_since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Whether something is being answered here.
    pub(super) fn busy(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.seat.busy)
    }

    /// Waits until somebody else needs it and nothing is being answered here.
    pub(super) async fn is_needed(&self) {
        self.seat.needed.notified().await;
        while !self.seat.is_silent() {
            // A request came at the last moment: it is answered first.
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

/// Time for a request to come after its connection, and for an answer to be read.
const GRACE: Duration = Duration::from_millis(100);
/// How long until it is looked again who is silent.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_that_is_silent_goes() {
        let mut places = Places::new(3);
        let (first, second, third) = (places.take().await, places.take().await, places.take().await);
        first.set_busy(true);
        let go = async {
            second.is_needed().await;
            drop(second);
        };
        let (fourth, ()) = tokio::join!(places.take(), go);
        // Now the third is the oldest; the first is still busy.
        let go = async {
            third.is_needed().await;
            drop(third);
        };
        let (fifth, ()) = tokio::join!(places.take(), go);
        fourth.set_busy(true);
        fifth.set_busy(true);
        // All are busy: whoever comes waits.
        assert!(timeout(GRACE * 3, places.take()).await.is_err());
        drop(first);
        places.take().await;
    }
}
