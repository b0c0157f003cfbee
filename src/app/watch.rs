//! Notices that the configuration has changed on the disk.
//!
//! The directories are watched, not the files: editors and orchestrators replace files, and a watch
//! on a replaced file sees nothing any more. Events only say "look"; what is compared is the stamp of
//! every file, and the reload itself compares contents. A look every two seconds finds what events
//! miss: network file systems, a full queue, a directory that was deleted and made again.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::net::unix::pipe::Receiver;
use tokio::time::Instant;

/// Quiet time before a change is acted on, so that a file that is written in parts is read whole.
const QUIET: Duration = Duration::from_millis(100);

/// Longest time that a stream of events can put off a look.
const QUIET_MAX: Duration = Duration::from_secs(1);

/// Looks without an event.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Reads in a row at most: the queue of a kernel that was not told otherwise, with names of usual length.
const READS_MAX: usize = 256;

/// What is worth a look: a file that was written to its end, and names that came and went. Writing alone is
/// not, nor is reading: a log that grows beside the configuration must not cost anything.
const WORTH_A_LOOK: WatchFlags = WatchFlags::CLOSE_WRITE
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR);

/// Watches a set of files.
pub struct Watch {
    /// Read like a pipe, though it is none: the event loop has no type of its own for it.
    events: Option<Receiver>,
    /// Something happened that nobody has looked at.
    stirred: bool,
    paths: Vec<PathBuf>,
    /// Directories, and what the kernel calls their watches.
    watched: BTreeMap<PathBuf, i32>,
    stamp: Vec<Option<Stamp>>,
}

/// What tells two states of a file apart without reading it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Default for Watch {
    fn default() -> Self {
        Self::new()
    }
}

impl Watch {
    /// Watches nothing yet. Where the system offers no events, looking must do.
    pub fn new() -> Self {
        let events = events();
        if let Err(error) = &events {
            tracing::warn!(%error, "no file events here: looking every {LOOK_EVERY:?} instead");
        }
        Self {
            events: events.ok(),
            stirred: false,
            paths: Vec::new(),
            watched: BTreeMap::new(),
            stamp: Vec::new(),
        }
    }

    /// Watches these files and directories from now on. A file that was watched before is compared with what
    /// it looked like when a change was last acted on: it may have changed again while it was being read. At
    /// the first time every file counts as changed, one that is gone too: it was read a while ago.
    pub fn follow(&mut self, paths: &[PathBuf]) {
        let first = self.paths.is_empty();
        let fresh = |path: &PathBuf| if first { Some(Stamp::default()) } else { Stamp::of(path) };
        let seen =
            |path: &PathBuf| self.paths.iter().position(|it| it == path).map(|at| self.stamp[at].clone());
        self.stamp = paths.iter().map(|it| seen(it).unwrap_or_else(|| fresh(it))).collect();
        self.paths = paths.to_vec();
        self.arm();
    }

    /// Waits until something looks different. Can be given up at any time.
    pub async fn changed(&mut self) {
        loop {
            if !self.stirred {
                tokio::select! {
                    () = stir(self.events.as_ref()) => self.stirred = true,
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                }
            }
            if self.stirred {
                self.settle().await;
            }
            let stamp = self.look();
            self.stirred = false;
            if stamp != self.stamp {
                self.stamp = stamp;
                self.arm();
                return;
            }
        }
    }

    /// Waits until nothing has happened for a while. Events are not awaited in between, so that a busy
    /// directory costs a few looks a second and no more.
    async fn settle(&mut self) {
        let end = Instant::now() + QUIET_MAX;
        loop {
            tokio::time::sleep(QUIET).await;
            let quiet = !self.events.as_ref().is_some_and(drain);
            if quiet || Instant::now() >= end {
                return;
            }
        }
    }

    fn look(&self) -> Vec<Option<Stamp>> {
        self.paths.iter().map(|it| Stamp::of(it)).collect()
    }

    /// Watches every directory that a change can show in: where each file is named, and where it
    /// really lies if that is elsewhere.
    fn arm(&mut self) {
        let Some(events) = &self.events else { return };
        let mut wanted = BTreeMap::new();
        for path in &self.paths {
            let places = [directory_of(path), path.canonicalize().ok().as_deref().and_then(directory_of)];
            wanted.extend(places.into_iter().flatten().map(|it| (it, None)));
        }
        for (gone, watch) in &self.watched {
            if !wanted.contains_key(gone) {
                // It may have been deleted, and its watch with it.
                let _ = inotify::remove_watch(events, *watch);
            }
        }
        // Asked for again each time: a directory that was made anew has no watch under its old name, and one
        // that has two names had one watch under both.
        for (directory, watch) in &mut wanted {
            match inotify::add_watch(events, directory, WORTH_A_LOOK) {
                Ok(it) => *watch = Some(it),
                Err(error) => tracing::debug!(directory = %directory.display(), %error, "cannot be watched"),
            }
        }
        self.watched = wanted.into_iter().filter_map(|(path, watch)| Some((path, watch?))).collect();
    }
}

fn events() -> io::Result<Receiver> {
    let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
    Receiver::from_owned_fd_unchecked(events)
}

/// Ready after something has happened in a directory that is watched; never where there are no events.
async fn stir(events: Option<&Receiver>) {
    let Some(events) = events else { return std::future::pending().await };
    while events.readable().await.is_ok() {
        if drain(events) {
            return;
        }
    }
    std::future::pending().await
}

/// Takes what events there are; whether there were any. What they say does not matter: that the queue ran
/// over says as much.
fn drain(events: &Receiver) -> bool {
    let mut room = [0; 4096];
    (0..READS_MAX).take_while(|_| matches!(events.try_read(&mut room), Ok(1..))).count() > 0
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let about = std::fs::metadata(path).ok()?;
        Some(Self {
            device: about.dev(),
            inode: about.ino(),
            // For a directory these change with every editor's swap file too. Whether a file belongs to
            // the configuration is for the reload to say, which compares contents.
            size: about.size(),
            modified: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
        })
    }
}

fn directory_of(path: &Path) -> Option<PathBuf> {
    if path.is_dir() {
        return Some(path.to_owned());
    }
    let parent = path.parent()?;
    Some(if parent.as_os_str().is_empty() { PathBuf::from(".") } else { parent.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Write;

    use super::*;

    /// Whether something has happened. The event loop looks before it says that time is up, and what the
    /// kernel has to tell is there as soon as the file was touched.
    async fn stirred(watch: &Watch) -> bool {
        tokio::time::timeout(Duration::from_millis(20), stir(watch.events.as_ref())).await.is_ok()
    }

    #[tokio::test]
    async fn what_is_written_and_read_beside_the_files_is_no_event() {
        let folder = tempfile::tempdir().unwrap();
        let (file, log) = (folder.path().join("tidegate.yaml"), folder.path().join("access.log"));
        fs::write(&file, "a").unwrap();
        let mut open = File::create(&log).unwrap();
        let mut watch = Watch::new();
        watch.follow(std::slice::from_ref(&file));
        for _ in 0..100 {
            open.write_all(b"a line\n").unwrap();
            fs::read(&file).unwrap();
        }
        assert!(!stirred(&watch).await);
        drop(open);
        assert!(stirred(&watch).await, "a file was written to its end");
        fs::rename(&log, folder.path().join("access.log.1")).unwrap();
        assert!(stirred(&watch).await, "a file has another name");
        fs::write(&file, "ab").unwrap();
        assert!(stirred(&watch).await && !stirred(&watch).await);
    }

    #[tokio::test]
    async fn a_directory_that_is_no_longer_wanted_is_silent() {
        let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut watch = Watch::new();
        watch.follow(&[old.path().join("a.yaml")]);
        watch.follow(&[new.path().join("a.yaml")]);
        stirred(&watch).await;
        fs::write(old.path().join("a.yaml"), "a").unwrap();
        assert!(!stirred(&watch).await);
        fs::write(new.path().join("a.yaml"), "a").unwrap();
        assert!(stirred(&watch).await);
    }
}
