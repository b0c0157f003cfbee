//! Whose a directory is, and who else could put something of theirs where something of ours is looked for.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use super::privileges::{is_group_of_one, own_user};

/// A directory, and those that a path to it leads through.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Directory {
    /// Its owner, by number.
    pub owner: u32,
    /// Its permissions.
    pub mode: u32,
    /// Those on the way, from the root.
    pub above: Vec<Above>,
}

/// A directory on the way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Above {
    /// Where it is.
    pub path: PathBuf,
    /// Its owner, by number; `None`: the kernel does not say, because that is nobody in this namespace of users.
    pub owner: Option<u32>,
    /// Its permissions.
    pub mode: u32,
    /// Whether its owner is alone in its group, so that what the group may do nobody else may.
    pub group_of_one: bool,
}

/// Who may put something of theirs in the place of what a directory holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trespasser {
    /// Its owner, by number.
    Owner(u32),
    /// Whoever is in its group.
    Group,
    /// Everybody.
    Everybody,
}

impl Directory {
    /// Looks at `path`. Symbolic links are followed as the kernel does, so that a directory that only holds a
    /// link counts as well.
    pub fn at(path: &Path) -> io::Result<Self> {
        let path = std::path::absolute(path)?;
        let (mut ahead, mut here, mut links) = (elements(&path), PathBuf::from("/"), 0);
        let mut found = fs::metadata(&here)?;
        let mut above: Vec<Above> = Vec::new();
        while let Some(next) = ahead.pop_front() {
            if !above.iter().any(|it| it.path == here) {
                above.push(Above::of(&here, &found));
            }
            if next == ".." {
                here.pop();
                found = fs::metadata(&here)?;
                continue;
            }
            let there = here.join(&next);
            found = fs::symlink_metadata(&there)?;
            if !found.is_symlink() {
                here = there;
                continue;
            }
            links += 1;
            if links > LINKS_MAX {
                return Err(io::Error::other("too many symbolic links"));
            }
            let target = fs::read_link(&there)?;
            if target.is_absolute() {
                here = PathBuf::from("/");
            }
            found = fs::metadata(&here)?;
            let mut whole = elements(&target);
            whole.append(&mut ahead);
            ahead = whole;
        }
        Ok(Self { owner: found.uid(), mode: found.mode() & PERMISSIONS, above })
    }

    /// Whether nobody but its owner and root can put something there.
    pub fn is_private(&self) -> bool {
        self.mode & (GROUP_WRITES | OTHERS_WRITE) == 0
    }

    /// Whether its owner is this user, or root.
    pub fn is_own(&self) -> bool {
        self.owner == 0 || self.owner == own_user()
    }

    /// One on the way in which somebody else than root and these users may exchange what others have put there.
    pub fn trespassed(&self, trusted: &[u32]) -> Option<(&Above, Trespasser)> {
        self.above.iter().find_map(|it| Some((it, it.trespasser(trusted)?)))
    }

    /// Whether nobody but root and these users can put anything into one on the way.
    pub fn is_reserved_to(&self, trusted: &[u32]) -> bool {
        self.above.iter().all(|it| {
            it.owner.is_some_and(|it| it == 0 || trusted.contains(&it))
                && it.mode & OTHERS_WRITE == 0
                && (it.mode & GROUP_WRITES == 0 || it.group_of_one)
        })
    }
}

impl Above {
    fn of(path: &Path, found: &fs::Metadata) -> Self {
        let (owner, mode) = (found.uid(), found.mode() & PERMISSIONS);
        // Looked up only where it matters.
        let group_of_one = mode & GROUP_WRITES != 0 && is_group_of_one(owner, found.gid());
        Self { path: path.to_owned(), owner: Some(owner).filter(|it| is_mapped(*it)), mode, group_of_one }
    }

    fn trespasser(&self, trusted: &[u32]) -> Option<Trespasser> {
        match self.owner {
            Some(owner) if owner != 0 && !trusted.contains(&owner) => Some(Trespasser::Owner(owner)),
            _ if self.mode & STICKY != 0 => None,
            _ if self.mode & OTHERS_WRITE != 0 => Some(Trespasser::Everybody),
            _ if self.mode & GROUP_WRITES != 0 && !self.group_of_one => Some(Trespasser::Group),
            _ => None,
        }
    }
}

/// Whether a number is that of a user, and not the one that stands for all who have none in this namespace.
fn is_mapped(user: u32) -> bool {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let is_whole = || read("/proc/self/uid_map").split_whitespace().eq(["0", "0", "4294967295"]);
    user != read("/proc/sys/kernel/overflowuid").trim().parse().unwrap_or(OVERFLOW_USER) || is_whole()
}

fn elements(path: &Path) -> VecDeque<OsString> {
    let named = path.components().filter(|it| matches!(it, Component::Normal(_) | Component::ParentDir));
    named.map(|it| it.as_os_str().to_owned()).collect()
}

const PERMISSIONS: u32 = 0o7777;
const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
/// Only the owner of something may rename it or take it away.
const STICKY: u32 = 0o1000;
/// What the kernel says if nobody has told it otherwise.
const OVERFLOW_USER: u32 = 65_534;
/// As many as the kernel follows.
const LINKS_MAX: usize = 40;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn make(path: &Path, mode: u32) {
        fs::create_dir(path).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn every_directory_on_the_way_counts() {
        let root = tempfile::tempdir().unwrap();
        let at = |it: &str| root.path().join(it);
        make(&at("own"), 0o700);
        make(&at("own/deep"), 0o750);
        make(&at("open"), 0o777);
        make(&at("open/deep"), 0o700);
        make(&at("sticky"), 0o1777);
        make(&at("sticky/deep"), 0o770);
        symlink(at("own/deep"), at("open/link")).unwrap();
        symlink("../open/./link", at("own/link")).unwrap();
        symlink("round", at("round")).unwrap();
        let seen = |it: &str| {
            let mut found = Directory::at(&at(it)).unwrap();
            assert!(found.is_own());
            assert_eq!(found.above[0].path, Path::new("/"));
            // What lies above is as this machine has it.
            found.above.retain(|it| it.path.starts_with(root.path()) && it.path != root.path());
            let names: Vec<&str> = found
                .above
                .iter()
                .map(|it| it.path.strip_prefix(root.path()).unwrap().to_str().unwrap())
                .collect();
            let names = names.join(" ");
            let trespasser = found.trespassed(&[own_user()]).map(|it| (it.0.mode, it.1));
            (found.mode, found.is_private(), names, trespasser, found.is_reserved_to(&[own_user()]))
        };
        let everybody = Some((0o777, Trespasser::Everybody));
        for (path, mode, private, above, trespasser, reserved) in [
            ("own/deep", 0o750, true, "own", None, true),
            ("open", 0o777, false, "", None, true),
            ("open/deep", 0o700, true, "open", everybody, false),
            ("sticky/deep", 0o770, false, "sticky", None, false),
            ("open/link", 0o750, true, "open own", everybody, false),
            ("own/link", 0o750, true, "own open", everybody, false),
            ("open/../own/deep", 0o750, true, "open own", everybody, false),
        ] {
            assert_eq!(seen(path), (mode, private, above.to_owned(), trespasser, reserved), "{path}");
        }
        assert!(Directory::at(&at("round/x")).is_err());
        assert_eq!(Directory::at(&at("nothing")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn who_may_exchange_what_lies_in_a_directory() {
        let above = |owner, mode, group_of_one| Directory {
            owner: 7,
            mode: 0o700,
            above: vec![Above { path: "/x".into(), owner, mode, group_of_one }],
        };
        use Trespasser::{Everybody, Group, Owner};
        for (owner, mode, group_of_one, expected, reserved) in [
            (Some(0), 0o755, false, None, true),
            (Some(7), 0o755, false, None, true),
            (Some(8), 0o755, false, Some(Owner(8)), false),
            // Whose a directory is may do everything there, sticky or not.
            (Some(8), 0o1777, false, Some(Owner(8)), false),
            (Some(0), 0o1777, false, None, false),
            (Some(0), 0o777, false, Some(Everybody), false),
            (Some(0), 0o775, false, Some(Group), false),
            (Some(7), 0o775, true, None, true),
            (Some(0), 0o1775, false, None, false),
            (None, 0o755, false, None, false),
            (None, 0o777, false, Some(Everybody), false),
        ] {
            let it = above(owner, mode, group_of_one);
            let found = it.trespassed(&[7]).map(|it| it.1);
            assert_eq!((found, it.is_reserved_to(&[7])), (expected, reserved), "{owner:?} {mode:o}");
        }
    }
}
