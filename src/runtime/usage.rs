//! What this process uses, as the kernel counts it.

use std::fs;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::model::Timestamp;

use super::limits::open_files_max;

/// What the process uses now. Anything the system does not say is zero.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Processor time of all threads.
    pub cpu: Duration,
    /// Memory that is in RAM.
    pub resident_bytes: u64,
    /// Address space.
    pub virtual_bytes: u64,
    /// Threads.
    pub threads: u64,
    /// Open files, connections included.
    pub open_files: u64,
    /// How many there may be.
    pub open_files_max: u64,
    /// When the process began.
    pub started: Timestamp,
}

impl Usage {
    /// Asks the kernel. Reads `/proc` and blocks for some tens of microseconds.
    pub fn now() -> Self {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self {
            cpu: Duration::try_from(cpu).unwrap_or_default(),
            resident_bytes: number_of(&status, "VmRSS:") * 1024,
            virtual_bytes: number_of(&status, "VmSize:") * 1024,
            threads: number_of(&status, "Threads:"),
            // One entry is the directory that is being read.
            open_files: fs::read_dir("/proc/self/fd").map_or(0, |it| it.count().saturating_sub(1) as u64),
            open_files_max: open_files_max(),
            started: started().unwrap_or_default(),
        }
    }
}

/// The number behind a word at the start of a line.
pub(super) fn number_of(text: &str, word: &str) -> u64 {
    let line = text.lines().find_map(|it| it.strip_prefix(word));
    line.and_then(|it| it.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn started() -> Option<Timestamp> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the name in parentheses, which may hold spaces and parentheses. The start is
    // field 22, so number 19 (from 0) after the name.
    let ticks: u64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
    let boot = number_of(&fs::read_to_string("/proc/stat").ok()?, "btime ");
    Some(Timestamp(boot * 1_000_000 + ticks * TICK_US))
}

/// A tick of `/proc`: Linux shows times there in hundredths of a second whatever the kernel uses inside.
const TICK_US: u64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_process_uses_something() {
        let it = Usage::now();
        assert!(it.cpu > Duration::ZERO && it.resident_bytes > 4096 && it.virtual_bytes > it.resident_bytes);
        assert!(it.threads >= 1 && it.open_files >= 3 && it.open_files_max >= it.open_files);
        let age = crate::runtime::Clock::system().now().since(it.started);
        assert!(age < Duration::from_secs(3600), "{age:?}");
    }
}
