//! One deadline slot for each connection, re-armed lazily.
//!
//! Setting a deadline is two plain stores: no timer is touched. One sweeper task for each worker
//! sleeps until the earliest deadline that it knows of, looks at all slots, wakes those that have
//! passed, and sleeps until the next. A deadline that moved on in the meantime (every request moves
//! it) costs nothing but that look. Granularity is [`GRANULARITY_MS`]; deadlines never fire early.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::Notify;

use crate::model::Timestamp;
use crate::runtime::{Clock, mishap};

/// Deadlines are rounded up to a multiple of this many milliseconds, so that many connections are
/// served by one look.
const GRANULARITY_MS: u64 = 10;

/// No deadline.
const NEVER: u64 = u64::MAX;

/// A deadline that the sweeper found to have passed.
const PASSED: u64 = u64::MAX - 1;

/// The deadlines of one worker.
pub struct Deadlines {
    clock: Clock,
    base: Timestamp,
    /// What the wall would have shown when the worker began, by what it showed last.
    wall_base_us: Cell<u64>,
    recent_us: Cell<u64>,
    slots: RefCell<Slots>,
    /// When the sweeper looks next.
    next_ms: Cell<u64>,
    earlier: Notify,
}

#[derive(Default)]
struct Slots {
    at_ms: Vec<u64>,
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
}

/// A slot in use: at most one deadline at a time.
pub struct Deadline {
    of: Rc<Deadlines>,
    slot: usize,
}

impl Deadlines {
    /// No slots yet. [`Deadlines::sweep`] must be running.
    pub fn new(clock: Clock) -> Rc<Self> {
        let deadlines = Self {
            base: clock.now(),
            wall_base_us: Cell::new(0),
            recent_us: Cell::new(0),
            clock,
            slots: RefCell::default(),
            next_ms: Cell::new(NEVER),
            earlier: Notify::new(),
        };
        deadlines.look_at_the_wall();
        Rc::new(deadlines)
    }

    /// Takes note of a correction of the system's clock. Deadlines do not move by it, but what others are told
    /// does: a `Date` is the best approximation of when the answer was made (RFC 9110 section 6.6.1).
    pub fn look_at_the_wall(&self) {
        let wall = self.clock.wall();
        self.wall_base_us.set(wall.0.saturating_sub(self.now_us()));
    }

    /// Milliseconds since this worker began.
    pub fn now_ms(&self) -> u64 {
        self.now_us() / 1000
    }

    /// Microseconds since this worker began.
    pub fn now_us(&self) -> u64 {
        let now_us = self.clock.now().0.saturating_sub(self.base.0);
        self.recent_us.set(now_us);
        now_us
    }

    /// What [`Deadlines::now_us`] said last. Good enough for code that runs right after something else
    /// asked: a look at the clock costs as much as parsing a header line.
    pub fn recent_us(&self) -> u64 {
        self.recent_us.get()
    }

    /// The same in milliseconds.
    pub fn recent_ms(&self) -> u64 {
        self.recent_us.get() / 1000
    }

    /// The same as microseconds since 1970, by the wall as it was last looked at. Spans are not measured by it.
    pub fn recent_unix_us(&self) -> u64 {
        self.wall_base_us.get() + self.recent_us.get()
    }

    /// The same as seconds since 1970.
    pub fn recent_unix_seconds(&self) -> u64 {
        self.recent_unix_us() / 1_000_000
    }

    /// The same as a moment that all workers agree on.
    pub fn recent_timestamp(&self) -> Timestamp {
        Timestamp(self.base.0 + self.recent_us.get())
    }

    /// A new slot without a deadline.
    pub fn slot(self: &Rc<Self>) -> Deadline {
        let mut slots = self.slots.borrow_mut();
        let slot = match slots.free.pop() {
            Some(slot) => slot,
            None => {
                slots.at_ms.push(NEVER);
                slots.wakers.push(None);
                slots.at_ms.len() - 1
            }
        };
        Deadline { of: Rc::clone(self), slot }
    }

    /// Wakes everyone who waits on a deadline, so that they look at the world again (a drain).
    pub fn wake_all(&self) {
        let wakers: Vec<Waker> = self.slots.borrow().wakers.iter().flatten().cloned().collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Wakes connections whose deadline has passed, for as long as the worker lives.
    pub async fn sweep(self: Rc<Self>) {
        loop {
            let next_ms = self.next_ms.get();
            if next_ms == NEVER {
                self.earlier.notified().await;
                continue;
            }
            // One millisecond more, because `now_ms` rounds down.
            let left = Duration::from_millis(next_ms.saturating_sub(self.now_ms()) + 1);
            tokio::select! {
                () = tokio::time::sleep(left) => self.look(),
                () = self.earlier.notified() => {}
            }
        }
    }

    fn look(&self) {
        mishap("sweep");
        let now_ms = self.now_ms();
        let mut next_ms = NEVER;
        let mut due = Vec::new();
        let mut slots = self.slots.borrow_mut();
        for slot in 0..slots.at_ms.len() {
            match slots.at_ms[slot] {
                NEVER | PASSED => {}
                at_ms if at_ms <= now_ms => {
                    // It stays passed, and is not looked at again until it is set anew.
                    slots.at_ms[slot] = PASSED;
                    due.extend(slots.wakers[slot].take());
                }
                at_ms => next_ms = next_ms.min(at_ms),
            }
        }
        drop(slots);
        self.next_ms.set(next_ms);
        due.into_iter().for_each(Waker::wake);
    }
}

impl Deadline {
    /// Milliseconds since the worker began.
    pub fn now_ms(&self) -> u64 {
        self.of.now_ms()
    }

    /// Passes at this many milliseconds since the worker began; replaces what was set.
    pub fn set_ms(&self, at_ms: u64) {
        let at_ms = at_ms.div_ceil(GRANULARITY_MS).saturating_mul(GRANULARITY_MS).min(PASSED - 1);
        self.of.slots.borrow_mut().at_ms[self.slot] = at_ms;
        if at_ms < self.of.next_ms.get() {
            self.of.next_ms.set(at_ms);
            self.of.earlier.notify_one();
        }
    }

    /// Passes at this moment if it would not pass earlier.
    pub fn bring_forward_ms(&self, at_ms: u64) {
        let set = self.of.slots.borrow().at_ms[self.slot];
        if at_ms < set && set != PASSED {
            self.set_ms(at_ms);
        }
    }

    /// Passes after `span`; replaces what was set.
    pub fn set(&self, span: Duration) {
        self.set_ms(self.now_ms().saturating_add(span.as_millis() as u64));
    }

    /// The same, counted from when the clock was looked at last.
    pub fn set_recent(&self, span: Duration) {
        self.set_ms(self.of.recent_ms().saturating_add(span.as_millis() as u64));
    }

    /// Whether the deadline has passed. If not, the task is woken when it does.
    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut slots = self.of.slots.borrow_mut();
        if slots.at_ms[self.slot] == PASSED {
            return Poll::Ready(());
        }
        match &mut slots.wakers[self.slot] {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            waker => *waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        let mut slots = self.of.slots.borrow_mut();
        slots.at_ms[self.slot] = NEVER;
        slots.wakers[self.slot] = None;
        slots.free.push(self.slot);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;
    use crate::runtime::ManualClock;

    fn run<F: Future<Output = ()>>(test: impl FnOnce(Rc<Deadlines>) -> F) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async {
            let deadlines = Deadlines::new(Clock::system());
            tokio::task::spawn_local(Rc::clone(&deadlines).sweep());
            test(deadlines).await;
        });
    }

    #[test]
    fn fires_after_and_never_before() {
        run(|deadlines| async move {
            let (short, long) = (deadlines.slot(), deadlines.slot());
            let from = deadlines.now_ms();
            long.set(Duration::from_secs(3600));
            short.set(Duration::from_millis(25));
            poll_fn(|cx| short.poll(cx)).await;
            assert!(deadlines.now_ms() >= from + 25);
            assert!(poll_fn(|cx| Poll::Ready(long.poll(cx).is_pending())).await);
        });
    }

    #[test]
    fn a_deadline_that_moved_on_does_not_fire() {
        run(|deadlines| async move {
            let (moved, other) = (deadlines.slot(), deadlines.slot());
            moved.set(Duration::from_millis(10));
            moved.set(Duration::from_secs(3600));
            other.set(Duration::from_millis(30));
            poll_fn(|cx| other.poll(cx)).await;
            assert!(poll_fn(|cx| Poll::Ready(moved.poll(cx).is_pending())).await);
        });
    }

    #[test]
    fn a_correction_of_the_wall_moves_dates_and_no_deadline() {
        let manual = ManualClock::new(Timestamp(1_000_000_000));
        let deadlines = Deadlines::new(manual.clock());
        manual.advance(Duration::from_secs(1));
        let moment = |it: &Deadlines| (it.now_us(), it.recent_timestamp().0, it.recent_unix_seconds());
        assert_eq!(moment(&deadlines), (1_000_000, 1_001_000_000, 1001));
        for (seconds, shown) in [(3600, 4601), (-4000, 601)] {
            manual.correct(seconds);
            deadlines.look_at_the_wall();
            assert_eq!(moment(&deadlines), (1_000_000, 1_001_000_000, shown));
        }
    }

    #[test]
    fn slots_are_used_again() {
        run(|deadlines| async move {
            for _ in 0..100 {
                deadlines.slot().set(Duration::from_millis(1));
            }
            assert_eq!(deadlines.slots.borrow().at_ms.len(), 1);
        });
    }
}
