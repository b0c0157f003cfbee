//! The lease in step with a model that knows nothing of parts, and under real threads.

use std::sync::atomic::AtomicBool;

use proptest::prelude::*;

use super::*;

/// Bounds of what is not unlimited.
const LIMIT_MAX: usize = 12;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A request comes.
    Come(usize),
    /// A request ends.
    End(usize),
    /// Whoever waits at a worker goes away.
    GiveUp(usize),
    /// The limit changes; `None` is none.
    Resize(Option<usize>),
}

fn step(workers: usize) -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..workers).prop_map(Step::Come),
        5 => (0..workers).prop_map(Step::End),
        1 => (0..workers).prop_map(Step::GiveUp),
        1 => prop::option::weighted(0.9, 1..LIMIT_MAX).prop_map(Step::Resize),
    ]
}

fn steps() -> impl Strategy<Value = (usize, Vec<Step>)> {
    (1_usize..6).prop_flat_map(|it| (Just(it), prop::collection::vec(step(it), 1..300)))
}

/// What workers do, with the numbers that must come out.
struct Model {
    lease: Lease,
    limit: usize,
    used: Vec<usize>,
    /// Since when each request waits, by worker.
    queues: Vec<Vec<u64>>,
    now: u64,
}

impl Model {
    fn new(workers: usize) -> Self {
        let (used, queues) = (vec![0; workers], vec![Vec::new(); workers]);
        Self { lease: Lease::new(workers), limit: UNLIMITED, used, queues, now: 0 }
    }

    fn in_use(&self) -> usize {
        self.used.iter().sum()
    }

    fn waiting(&self) -> usize {
        self.queues.iter().map(Vec::len).sum()
    }

    fn step(&mut self, step: Step) {
        self.now += 1;
        let mut woken = Vec::new();
        match step {
            Step::Come(at) => {
                if self.queues[at].is_empty() && self.lease.take(at, |it| woken.push(it)) {
                    self.used[at] += 1;
                } else {
                    self.queues[at].push(self.now);
                    self.lease.wait(at, self.queues[at].len(), self.queues[at][0]);
                    // The look after the word.
                    self.serve(at, &mut woken);
                }
            }
            Step::End(at) if self.used[at] > 0 => {
                self.used[at] -= 1;
                self.lease.give(at, |it| woken.push(it));
            }
            Step::GiveUp(at) if !self.queues[at].is_empty() => {
                self.queues[at].remove(0);
                self.shown(at, &mut woken);
            }
            Step::End(_) | Step::GiveUp(_) => {}
            Step::Resize(limit) => {
                self.limit = limit.unwrap_or(UNLIMITED);
                self.lease.resize(self.limit, |it| woken.push(it));
            }
        }
        while let Some(at) = woken.pop() {
            self.serve(at, &mut woken);
        }
    }

    fn serve(&mut self, at: usize, woken: &mut Vec<usize>) {
        while !self.queues[at].is_empty() && self.lease.claim(at, |it| woken.push(it)) {
            self.queues[at].remove(0);
            self.used[at] += 1;
            self.shown(at, woken);
        }
    }

    fn shown(&self, at: usize, woken: &mut Vec<usize>) {
        match self.queues[at].first() {
            Some(since) => self.lease.wait(at, self.queues[at].len(), *since),
            None => self.lease.leave(at, |it| woken.push(it)),
        }
    }
}

proptest! {
    /// Never more than the limit, but for what was there when it was lowered; and nobody waits while there is
    /// a place.
    #[test]
    fn it_counts_like_one_counter((workers, steps) in steps()) {
        let mut it = Model::new(workers);
        for step in steps {
            let before = it.in_use();
            it.step(step);
            prop_assert!(it.in_use() <= it.limit.max(before), "{step:?}: {} of {}", it.in_use(), it.limit);
            prop_assert!(it.waiting() == 0 || it.in_use() >= it.limit, "{step:?}: {} wait", it.waiting());
        }
        // Whoever is left is served in the end, and then every place is there again.
        while it.in_use() + it.waiting() > 0 {
            for at in 0..workers {
                it.step(Step::End(at));
            }
        }
        let limit = it.limit.min(LIMIT_MAX * 2);
        let taken = (0..limit).filter(|at| it.lease.take(at % workers, |_| {})).count();
        prop_assert_eq!(taken, limit);
        let one_more = it.limit != UNLIMITED && it.lease.take(0, |_| {});
        prop_assert!(!one_more);
    }

    /// Whoever has waited longest gets what is put back, wherever that is.
    #[test]
    fn the_oldest_comes_first(ends in prop::collection::vec(0_usize..3, 1..40)) {
        let mut it = Model::new(3);
        it.step(Step::Resize(Some(3)));
        (0..3).for_each(|at| it.step(Step::Come(at)));
        for (turn, end) in ends.into_iter().enumerate() {
            it.step(Step::Come(turn % 3));
            it.step(Step::Come((turn + 1) % 3));
            let Some(at) = (0..3).map(|at| (end + at) % 3).find(|at| it.used[*at] > 0) else { continue };
            let oldest = it.queues.iter().flatten().min().copied();
            it.step(Step::End(at));
            prop_assert!(!it.queues.iter().flatten().any(|since| Some(*since) == oldest));
        }
    }
}

#[test]
fn one_place_serves_many_workers_in_turn() {
    let lease = Lease::new(4);
    lease.resize(1, |_| {});
    for turn in 0..100 {
        assert!(lease.take(turn % 4, |_| {}), "{turn}");
        assert!((0..4).all(|it| !lease.take(it, |_| {})));
        lease.give(turn % 4, |_| panic!("nobody waits"));
    }
}

/// Eight threads and a limit that changes: never more at once than the greatest limit, and all are there in
/// the end.
#[test]
fn threads_never_exceed_it() {
    const WORKERS: usize = 8;
    for limit in [1, 3, 40] {
        let lease = Lease::new(WORKERS);
        lease.resize(limit, |_| {});
        let (in_use, done) = (AtomicUsize::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let serve = |at: usize| {
                let (lease, in_use) = (&lease, &in_use);
                move || {
                    for turn in 0..2_000_u64 {
                        if !lease.take(at, |_| {}) {
                            lease.wait(at, 1, turn + 1);
                            while !lease.claim(at, |_| {}) {
                                std::thread::yield_now();
                            }
                            lease.leave(at, |_| {});
                        }
                        assert!(in_use.fetch_add(1, SeqCst) < limit);
                        in_use.fetch_sub(1, SeqCst);
                        lease.give(at, |_| {});
                    }
                }
            };
            let workers: Vec<_> = (0..WORKERS).map(|at| scope.spawn(serve(at))).collect();
            let (lease, done) = (&lease, &done);
            let resizer = scope.spawn(move || {
                while !done.load(SeqCst) {
                    lease.resize(limit.div_ceil(2), |_| {});
                    std::thread::yield_now();
                    lease.resize(limit, |_| {});
                }
            });
            workers.into_iter().for_each(|it| it.join().expect("no panic"));
            done.store(true, SeqCst);
            resizer.join().expect("no panic");
        });
        assert_eq!((0..limit + 1).filter(|_| lease.take(0, |_| {})).count(), limit);
    }
}
