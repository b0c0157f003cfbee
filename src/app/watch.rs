//! Notices that the configuration has changed on the disk.
//!
//! The directories are watched, not the files: editors and orchestrators replace files, and a watch
//! on a replaced file sees nothing any more. Events only say "look"; what is compared is the stamp of
//! every file, and the reload itself compares contents. A look every two seconds finds what events
//! miss: network file systems, a full queue, a directory that was deleted and made again.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

/// Quiet time before a change is acted on, so that a file that is written in parts is read whole.
const QUIET: Duration = Duration::from_millis(100);

/// Longest time that a stream of events can put off a look.
const QUIET_MAX: Duration = Duration::from_secs(1);

/// Looks without an event.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Watches a set of files.
pub struct Watch {
    watcher: Option<RecommendedWatcher>,
    events: mpsc::UnboundedReceiver<()>,
    paths: Vec<PathBuf>,
    watched: BTreeSet<PathBuf>,
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
        let (tell, events) = mpsc::unbounded_channel();
        let watcher = notify::recommended_watcher(move |_: notify::Result<notify::Event>| {
            // The receiver is gone only when the process ends.
            let _ = tell.send(());
        });
        if let Err(error) = &watcher {
            tracing::warn!(%error, "no file events here: looking every {LOOK_EVERY:?} instead");
        }
        Self { watcher: watcher.ok(), events, paths: Vec::new(), watched: BTreeSet::new(), stamp: Vec::new() }
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

    /// Waits until something looks different.
    pub async fn changed(&mut self) {
        loop {
            tokio::select! {
                event = self.events.recv() => {
                    if event.is_some() {
                        self.settle().await;
                    }
                }
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let stamp = self.look();
            if stamp != self.stamp {
                self.stamp = stamp;
                self.arm();
                return;
            }
        }
    }

    async fn settle(&mut self) {
        let end = tokio::time::Instant::now() + QUIET_MAX;
        while tokio::time::Instant::now() < end {
            if tokio::time::timeout(QUIET, self.events.recv()).await.is_err() {
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
        let Some(watcher) = &mut self.watcher else { return };
        let mut wanted = BTreeSet::new();
        for path in &self.paths {
            wanted.extend(directory_of(path));
            wanted.extend(path.canonicalize().ok().as_deref().and_then(directory_of));
        }
        for gone in self.watched.difference(&wanted) {
            // It may have been deleted, and its watch with it.
            let _ = watcher.unwatch(gone);
        }
        // Asked for again each time: a directory that was made anew has no watch under its old name.
        for directory in &wanted {
            if let Err(error) = watcher.watch(directory, RecursiveMode::NonRecursive) {
                tracing::debug!(directory = %directory.display(), %error, "cannot be watched");
            }
        }
        self.watched = wanted;
    }
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
