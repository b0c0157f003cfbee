//! Panics: mistakes of this program. Each costs the task that made it, is told and counted, and the process
//! goes on.
//!
//! Programs with debug assertions, as tests run them, can be told to panic at places that no input reaches:
//! a real panic where it would be, and a real recovery. Others have nothing of it.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

static PANICS: AtomicU64 = AtomicU64::new(0);

/// Counts every panic from now on, beside telling of it.
pub fn count_panics() {
    let tell = take_hook();
    set_hook(Box::new(move |about| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        tell(about);
    }));
}

/// Panics so far.
pub fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

/// What comes of `task`; `None` if it panicked. Whoever asks says that what the task has left is still of use.
pub fn contained<T>(task: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(task)).ok()
}

/// The same of a future, which is not polled any more once it has panicked.
pub async fn contained_async<T>(task: impl Future<Output = T>) -> Option<T> {
    let mut task = pin!(task);
    poll_fn(|cx| match contained(|| task.as_mut().poll(cx)) {
        Some(Poll::Ready(done)) => Poll::Ready(Some(done)),
        Some(Poll::Pending) => Poll::Pending,
        None => Poll::Ready(None),
    })
    .await
}

/// Runs what has to go on for as long as its thread does: after a panic it is begun anew, a little later.
pub async fn lasting<F: Future<Output = ()>>(begin: impl Fn() -> F) {
    while contained_async(begin()).await.is_none() {
        tokio::time::sleep(STAND_UP_AFTER).await;
    }
}

/// Whoever falls over everything does so slowly.
const STAND_UP_AFTER: Duration = Duration::from_millis(200);

/// Panics if there is a file of this name in the directory that `TIDEGATE_MISHAPS` names.
#[cfg(debug_assertions)]
pub fn mishap(place: &str) {
    static DIRECTORY: std::sync::LazyLock<Option<std::path::PathBuf>> =
        std::sync::LazyLock::new(|| std::env::var_os("TIDEGATE_MISHAPS").map(Into::into));
    let Some(directory) = &*DIRECTORY else { return };
    assert!(!directory.join(place).exists(), "told to panic: {place}");
}

/// Nothing befalls a program that is not under test.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn mishap(_: &str) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_contained() {
        assert_eq!(contained(|| 1), Some(1));
        assert_eq!(contained(|| panic!("as planned")).map(|()| 1), None);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            assert_eq!(contained_async(async { 2 }).await, Some(2));
            let fails = async {
                tokio::task::yield_now().await;
                panic!("as planned")
            };
            assert_eq!(contained_async(fails).await.map(|()| 2), None);
        });
    }
}
