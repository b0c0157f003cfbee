//! The end of a process, its restart, and what a service manager is told of both.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

#[path = "drain/activation.rs"]
mod activation;
#[path = "drain/crashes.rs"]
mod crashes;
#[path = "drain/ending.rs"]
mod ending;
#[path = "drain/generations.rs"]
mod generations;
#[path = "drain/handover.rs"]
mod handover;
#[path = "drain/manager.rs"]
mod manager;
#[path = "drain/notified.rs"]
mod notified;
#[path = "drain/privileges.rs"]
mod privileges;
mod support;

use std::time::{Duration, Instant};

/// Sees many clients to their ends, which come in the second half of the two seconds since `began`, and not all at once.
fn ends_are_spread<T: Send>(clients: &mut [T], began: Instant, end: impl Fn(&mut T) + Sync) {
    let end = &end;
    let mut ends: Vec<Duration> = std::thread::scope(|scope| {
        let waits = clients.iter_mut().map(|client| {
            scope.spawn(move || {
                end(client);
                began.elapsed()
            })
        });
        let waits: Vec<_> = waits.collect();
        waits.into_iter().map(|it| it.join().unwrap()).collect()
    });
    ends.sort_unstable();
    let (first, last) = (ends[0], ends[ends.len() - 1]);
    assert!(first >= Duration::from_secs(1), "in the first half only answers tell: {ends:?}");
    assert!(last - first > Duration::from_millis(250), "all at once: {ends:?}");
}
