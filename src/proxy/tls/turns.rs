//! Whose handshake is next. A handshake takes as long as dozens of requests: if a thousand clients that
//! arrive at once were all served as they are found, a request that is sent meanwhile would wait for all of
//! them. So hellos are answered one after the other, in their order, and between two of them the worker
//! looks after everything else that is ready.
//!
//! If that takes longer than a handshake, as many are answered at once as take the same time: new clients
//! get half of a busy worker, and no less.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::{Notify, Semaphore};

use super::super::deadline::Deadlines;

/// The turns of one worker.
pub struct Turns {
    deadlines: Rc<Deadlines>,
    /// Turns that may be taken now. Who waits longest is first.
    ready: Semaphore,
    waiting: Cell<u64>,
    /// Given, and not taken yet.
    given: Cell<u64>,
    somebody: Notify,
    round: Cell<Round>,
}

/// What was done since turns were given last.
#[derive(Clone, Copy, Default)]
struct Round {
    turns: u64,
    turns_us: u64,
}

impl Round {
    /// How many turns are given after a round of `whole_us`.
    fn next(self, whole_us: u64) -> u64 {
        let others_us = whole_us.saturating_sub(self.turns_us);
        // Where no turn was taken, nothing is known of how long one takes.
        (others_us * self.turns).checked_div(self.turns_us).unwrap_or(1).max(1)
    }
}

impl Turns {
    /// Nobody waits yet. [`Turns::give`] must be running.
    pub fn new(deadlines: &Rc<Deadlines>) -> Rc<Self> {
        Rc::new(Self {
            deadlines: Rc::clone(deadlines),
            ready: Semaphore::new(0),
            waiting: Cell::new(0),
            given: Cell::new(0),
            somebody: Notify::new(),
            round: Cell::default(),
        })
    }

    /// Waits for a turn.
    pub async fn wait(&self) {
        let waiting = Waiting::among(self);
        self.somebody.notify_one();
        // It is never closed.
        if let Ok(turn) = self.ready.acquire().await {
            turn.forget();
            self.given.set(self.given.get() - 1);
        }
        drop(waiting);
    }

    /// Takes a turn: does `work`, and counts how long it took.
    pub fn take<T>(&self, work: impl FnOnce() -> T) -> T {
        let from_us = self.deadlines.now_us();
        let done = work();
        let Round { turns, turns_us } = self.round.get();
        let took_us = self.deadlines.now_us().saturating_sub(from_us);
        self.round.set(Round { turns: turns + 1, turns_us: turns_us + took_us });
        done
    }

    /// Gives turns to those who wait, for as long as the worker lives.
    pub async fn give(self: Rc<Self>) {
        let mut from_us = 0;
        loop {
            if self.waiting.get() == 0 {
                self.somebody.notified().await;
                self.round.take();
                from_us = self.deadlines.now_us();
            }
            // Comes back when the sockets were looked at, behind all who have something to do.
            tokio::task::yield_now().await;
            let now_us = self.deadlines.now_us();
            let turns = self.round.take().next(now_us - from_us).min(self.waiting.get());
            from_us = now_us;
            // One that somebody left who is gone serves the next.
            let more = turns.saturating_sub(self.given.get());
            self.given.set(self.given.get() + more);
            self.ready.add_permits(more as usize);
        }
    }
}

/// Somebody who waits, until it is dropped.
struct Waiting<'a>(&'a Cell<u64>);

impl<'a> Waiting<'a> {
    fn among(turns: &'a Turns) -> Self {
        turns.waiting.set(turns.waiting.get() + 1);
        Self(&turns.waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::time::Duration;

    use proptest::prelude::*;
    use tokio::task::{spawn_local, yield_now};

    use crate::model::Timestamp;
    use crate::runtime::ManualClock;

    use super::*;

    const TURN: Duration = Duration::from_micros(200);

    proptest! {
        #[test]
        fn turns_take_as_long_as_all_else_or_are_one(
            turns in 0u64..2000,
            turn_us in 1u64..10_000,
            others_us in 0u64..1_000_000,
        ) {
            let round = Round { turns, turns_us: turns * turn_us };
            let next = round.next(round.turns_us + others_us);
            if turns == 0 {
                prop_assert_eq!(next, 1);
            } else {
                prop_assert_eq!(next, (others_us / turn_us).max(1));
            }
        }
    }

    /// Clients come at once, and others have `work` to do each time that the loop turns. Who did something, in
    /// its order: a client by its number, the others by none.
    fn order(clients: usize, work: Duration) -> Vec<Option<usize>> {
        let manual = ManualClock::new(Timestamp(0));
        let turns = Turns::new(&Deadlines::new(manual.clock()));
        let seen = Rc::new(RefCell::new(Vec::new()));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            spawn_local(Rc::clone(&turns).give());
            for client in 0..clients {
                let (turns, seen, manual) = (Rc::clone(&turns), Rc::clone(&seen), manual.clone());
                spawn_local(async move {
                    turns.wait().await;
                    turns.take(|| manual.advance(TURN));
                    seen.borrow_mut().push(Some(client));
                });
            }
            while seen.borrow().iter().flatten().count() < clients {
                manual.advance(work);
                seen.borrow_mut().push(None);
                yield_now().await;
            }
        });
        Rc::into_inner(seen).unwrap().into_inner()
    }

    #[test]
    fn between_two_hellos_all_else_is_looked_after() {
        let order = order(100, Duration::from_micros(10));
        let clients: Vec<usize> = order.iter().copied().flatten().collect();
        assert_eq!(clients, (0..100).collect::<Vec<_>>());
        assert!(order.windows(2).all(|it| it[0].is_none() || it[1].is_none()), "{order:?}");
    }

    #[test]
    fn new_clients_get_half_of_a_busy_worker() {
        let order = order(100, TURN * 10);
        let together: Vec<usize> =
            order.split(Option::is_none).map(<[_]>::len).filter(|it| *it > 0).collect();
        // How long a turn takes is known after the first.
        assert_eq!(together, [&[1][..], &[10; 9], &[9]].concat());
    }

    #[test]
    fn whoever_is_gone_takes_nobodys_turn() {
        let turns = Turns::new(&Deadlines::new(ManualClock::new(Timestamp(0)).clock()));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            {
                let mut gone = std::pin::pin!(turns.wait());
                assert!(
                    std::future::poll_fn(|cx| std::task::Poll::Ready(gone.as_mut().poll(cx).is_pending()))
                        .await
                );
                assert_eq!(turns.waiting.get(), 1);
            }
            assert_eq!(turns.waiting.get(), 0);
            tokio::select! {
                () = Rc::clone(&turns).give() => {}
                () = turns.wait() => {}
            }
            assert_eq!((turns.waiting.get(), turns.given.get()), (0, 0));
        });
    }
}
