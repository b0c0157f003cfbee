//! Whose a directory is, and who else could put something of theirs where something of ours is looked for.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use super::privileges::own_user;

/// A directory, and those that a path to it leads through.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Directory {
    /// Its owner, by number.
    pub owner: u32,
    /// Its permissions.
    pub mode: u32,
    /// Those on the way that everybody may write to, with their permissions.
    pub open: Vec<(PathBuf, u32)>,
}

impl Directory {
    /// Looks at `path`. Symbolic links are followed as the kernel does, so that a directory that only holds a
    /// link counts as well.
    pub fn at(path: &Path) -> io::Result<Self> {
        let path = std::path::absolute(path)?;
        let (mut ahead, mut here, mut links) = (elements(&path), PathBuf::from("/"), 0);
        let mut found = fs::metadata(&here)?;
        let mut open = Vec::new();
        while let Some(next) = ahead.pop_front() {
            if found.mode() & OTHERS_WRITE != 0 {
                open.push((here.clone(), found.mode() & PERMISSIONS));
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
        open.dedup();
        Ok(Self { owner: found.uid(), mode: found.mode() & PERMISSIONS, open })
    }

    /// Whether nobody but its owner and root can put something there.
    pub fn is_private(&self) -> bool {
        self.mode & (GROUP_WRITES | OTHERS_WRITE) == 0
    }

    /// Whether its owner is this user, or root.
    pub fn is_own(&self) -> bool {
        self.owner == 0 || self.owner == own_user()
    }

    /// One on the way in which everybody may exchange what others have put there.
    pub fn lawless(&self) -> Option<&(PathBuf, u32)> {
        self.open.iter().find(|it| it.1 & STICKY == 0)
    }
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
            let found = Directory::at(&at(it)).unwrap();
            assert!(found.is_own());
            let within = |it: &(PathBuf, u32)| {
                let name = it.0.strip_prefix(root.path()).ok()?.to_str()?.to_owned();
                Some(format!("{name} {:o}", it.1))
            };
            let open: Vec<String> = found.open.iter().filter_map(within).collect();
            let lawless = found.lawless().is_some_and(|it| it.0.starts_with(root.path()));
            (found.mode, found.is_private(), open.join(", "), lawless)
        };
        for (path, mode, private, open, lawless) in [
            ("own/deep", 0o750, true, "", false),
            ("open", 0o777, false, "", false),
            ("open/deep", 0o700, true, "open 777", true),
            ("sticky/deep", 0o770, false, "sticky 1777", false),
            ("open/link", 0o750, true, "open 777", true),
            ("own/link", 0o750, true, "open 777", true),
            ("open/../own/deep", 0o750, true, "open 777", true),
        ] {
            assert_eq!(seen(path), (mode, private, open.to_owned(), lawless), "{path}");
        }
        assert!(Directory::at(&at("round/x")).is_err());
        assert_eq!(Directory::at(&at("nothing")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
