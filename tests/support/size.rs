//! How big a test is that stands for something big: a hundred thousand requests, ten thousand connections, ten
//! gigabytes.
//!
//! Everybody who runs the tests gets a part of it, with a program that was built to be debugged. With
//! `TIDEGATE_TEST_SIZE=whole` in the environment it is all of it, which is meant for the program that is shipped.

/// `part`, or `whole` where that is asked for.
#[track_caller]
pub fn of<T>(part: T, whole: T) -> T {
    if is_whole() { whole } else { part }
}

/// Whether the whole size is asked for.
#[track_caller]
pub fn is_whole() -> bool {
    match std::env::var("TIDEGATE_TEST_SIZE").as_deref() {
        Err(_) => false,
        Ok("whole") => true,
        Ok(other) => panic!("TIDEGATE_TEST_SIZE is {other:?}, and can only be \"whole\""),
    }
}
