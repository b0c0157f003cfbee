//! How much memory this process has, and how much it may have.

use std::fs;
use std::path::Path;

use super::usage::number_of;

/// Memory of this process that is in RAM. Takes some tens of microseconds; 0 if the system does not say.
pub fn resident_bytes() -> u64 {
    number_of(&fs::read_to_string("/proc/self/status").unwrap_or_default(), "VmRSS:") * 1024
}

/// The least bound that the control groups of this process set; `None` if they set none.
pub fn memory_max() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    bound_of(&groups, Path::new("/sys/fs/cgroup"))
}

/// `groups` is what `/proc/self/cgroup` says; `root` where control groups are.
fn bound_of(groups: &str, root: &Path) -> Option<u64> {
    let bounds = groups.lines().flat_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next(), parts.next().unwrap_or(""), parts.next().unwrap_or("/"));
        let (root, file) = match controllers {
            "" => (root.to_owned(), "memory.max"),
            it if it.split(',').any(|it| it == "memory") => (root.join("memory"), "memory.limit_in_bytes"),
            _ => return Vec::new(),
        };
        // A bound of any group above holds too. In a container the path is one outside of it, and only the
        // root is there.
        let inner = Path::new(path.trim_start_matches('/'));
        inner.ancestors().filter_map(|it| bound_in(&root.join(it).join(file))).collect()
    });
    bounds.min()
}

fn bound_in(file: &Path) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    // Version 2 says `max` for none, version 1 the largest number of pages.
    text.trim().parse().ok().filter(|it| *it < NO_BOUND)
}

/// What no machine has.
const NO_BOUND: u64 = 1 << 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_process_is_somewhere() {
        assert!(resident_bytes() > 100_000, "{}", resident_bytes());
    }

    #[test]
    fn the_least_bound_holds() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let file = root.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        let of = |groups: &str| bound_of(groups, root.path());
        assert_eq!(of("0::/a/b\n"), None);
        put("a/b/memory.max", "max\n");
        assert_eq!(of("0::/a/b\n"), None);
        put("a/memory.max", "300000000\n");
        assert_eq!(of("0::/a/b\n"), Some(300_000_000));
        put("a/b/memory.max", "200000000\n");
        assert_eq!(of("1:name=systemd:/x\n0::/a/b\n"), Some(200_000_000));
        assert_eq!(of("0::/a/c\n"), Some(300_000_000));
        put("memory/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(of("4:cpu,memory:/gone\n"), None);
        put("memory/memory.limit_in_bytes", "100000000\n");
        assert_eq!(of("4:cpu,memory:/gone\n"), Some(100_000_000));
        assert_eq!(of("4:cpu:/gone\n"), None);
    }
}
