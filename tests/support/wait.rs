//! Waiting for conditions, never for time.

use std::time::{Duration, Instant};

/// How long anything may take before a test fails. Long, because machines that run tests are busy;
/// what is quick when all is well does not wait for it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Looks until `look` sees something, and fails with `what` when it never does.
#[track_caller]
pub fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    match within(PATIENCE, look) {
        Some(seen) => seen,
        None => panic!("still not so after {PATIENCE:?}: {what}"),
    }
}

/// Looks until `look` sees something or `limit` has passed.
pub fn within<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(seen) = look() {
            return Some(seen);
        }
        if start.elapsed() > limit {
            return None;
        }
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// Runs `work` and fails unless it took at least `least` and less than `most`.
#[track_caller]
pub fn took<T>(least: Duration, most: Duration, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    let spent = start.elapsed();
    assert!(spent >= least, "took {spent:?}, expected at least {least:?}");
    assert!(spent < most, "took {spent:?}, expected less than {most:?}");
    result
}
