//! Threads: named, and if wanted bound to one core.

use std::io;
use std::thread::{Builder, JoinHandle, available_parallelism};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Starts a named thread. With `cpu`, it runs on that core only; a core that cannot be had is no
/// reason not to run.
pub fn spawn_thread<T: Send + 'static>(
    name: &str,
    cpu: Option<usize>,
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    Builder::new().name(name.to_owned()).spawn(move || {
        if let Some(cpu) = cpu.filter(|it| *it < CpuSet::MAX_CPU) {
            let mut only = CpuSet::new();
            only.set(cpu);
            let _ = sched_setaffinity(None, &only);
        }
        body()
    })
}

/// How many threads can run at once: cores, less what affinity and the control group take away.
pub fn usable_cores() -> usize {
    available_parallelism().map_or(1, Into::into)
}

/// The cores this process may run on, by number; empty if the system does not say.
pub fn usable_cpus() -> Vec<usize> {
    sched_getaffinity(None)
        .map(|set| (0..CpuSet::MAX_CPU).filter(|it| set.is_set(*it)).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_has_its_name_and_its_core() {
        let cpu = *usable_cpus().last().unwrap();
        let seen = spawn_thread("worker-3", Some(cpu), || {
            (std::thread::current().name().map(str::to_owned), usable_cpus())
        });
        assert_eq!(seen.unwrap().join().unwrap(), (Some("worker-3".to_owned()), vec![cpu]));
        assert!(usable_cores() >= 1);
    }
}
