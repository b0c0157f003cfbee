//! Giving up the rights of root for those of an account.
//!
//! The rights of root are given up while there is one thread: the kernel keeps them for each thread apart, and
//! those that are started later begin with what the first one has. What is kept is the right to open ports below
//! 1024, because a reload may name one; a program that is run for a check gets not even that.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::process::{getegid, geteuid};
use rustix::thread::{CapabilitySet, CapabilitySets};
use rustix::{process, thread};

use super::privileges::is_root;

/// The one right of root that is kept.
const KEPT: CapabilitySet = CapabilitySet::NET_BIND_SERVICE;

/// Whether it has the rights of this user and group already.
pub fn is_account(user: u32, group: u32) -> bool {
    geteuid().as_raw() == user && getegid().as_raw() == group
}

/// Why the process is still who it was.
#[derive(Debug, thiserror::Error)]
pub enum BecomeError {
    /// Nobody else can.
    #[error(
        "only root can become another user, and this process is user {0}: start it as root, as that user, or without `user`"
    )]
    NotRoot(u32),
    /// A thread would keep the rights of root.
    #[error("{0} threads run already, and each would have to be asked")]
    Threads(usize),
    /// The system does not allow it.
    #[error("failed to {doing}")]
    Refused {
        /// What was being done.
        doing: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The system allowed it, and it can be undone.
    #[error("the rights of root could be had again")]
    Undone,
}

/// Gives up the rights of root for those of an account, for good.
pub fn become_account(user: u32, group: u32, groups: &[u32]) -> Result<(), BecomeError> {
    if is_account(user, group) {
        // Started by a process that was that account already, and that had to pass the ports on.
        let _ = thread::clear_ambient_capability_set();
        return Ok(());
    }
    if !is_root() {
        return Err(BecomeError::NotRoot(geteuid().as_raw()));
    }
    let refused =
        |doing| move |error: rustix::io::Errno| BecomeError::Refused { doing, source: error.into() };
    let threads = fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads != 1 {
        return Err(BecomeError::Threads(threads));
    }
    let had = thread::capabilities(None).map_err(refused("ask for capabilities"))?;
    let kept = had.permitted & KEPT;
    // Without the right to do so (a container may lack it) the set stays, and means nothing: no program that is
    // run from here is given more than it has.
    for it in CapabilitySet::all().iter().filter(|it| *it != KEPT) {
        let _ = thread::remove_capability_from_bounding_set(it);
    }
    thread::set_no_new_privs(true).map_err(refused("do without new privileges"))?;
    thread::set_keep_capabilities(true).map_err(refused("keep a capability"))?;
    let groups: Vec<process::Gid> = groups.iter().map(|it| process::Gid::from_raw(*it)).collect();
    thread::set_thread_groups(&groups).map_err(refused("set the groups"))?;
    let gid = process::Gid::from_raw(group);
    thread::set_thread_res_gid(gid, gid, gid).map_err(refused("set the group"))?;
    let uid = process::Uid::from_raw(user);
    thread::set_thread_res_uid(uid, uid, uid).map_err(refused("set the user"))?;
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: kept };
    thread::set_capabilities(None, sets).map_err(refused("give up capabilities"))?;
    thread::set_keep_capabilities(false).map_err(refused("keep no more capabilities"))?;
    if thread::set_thread_res_uid(process::Uid::ROOT, process::Uid::ROOT, process::Uid::ROOT).is_ok() {
        return Err(BecomeError::Undone);
    }
    Ok(())
}

/// Makes a directory that is missing, and those on the way to it, for an account. What is there is left alone,
/// and so is a place in which others than root could put something else under the name.
pub fn make_for(directory: &Path, user: u32, group: u32) -> io::Result<()> {
    let missing: Vec<&Path> = directory
        .ancestors()
        .take_while(|it| !it.as_os_str().is_empty() && fs::symlink_metadata(it).is_err())
        .collect();
    let Some(there) = missing.last().and_then(|it| it.parent()) else { return Ok(()) };
    let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
    let about = fs::metadata(there)?;
    let open_to_others = about.mode() & 0o022 != 0 && about.mode() & 0o1000 == 0;
    if about.uid() != 0 || open_to_others {
        return Ok(());
    }
    for it in missing.into_iter().rev() {
        rustix::fs::mkdirat(CWD, it, Mode::RWXU)?;
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
        let made = rustix::fs::openat(CWD, it, flags, Mode::empty())?;
        let (user, group) = (process::Uid::from_raw(user), process::Gid::from_raw(group));
        rustix::fs::chownat(&made, "", Some(user), Some(group), AtFlags::EMPTY_PATH)?;
    }
    Ok(())
}

/// While this lives, a program that this thread starts may open ports below 1024 if this process may.
#[must_use = "it ends when it is dropped"]
pub struct LentPorts(bool);

impl LentPorts {
    /// Lends the right, if it is there to be lent.
    pub fn lend() -> Self {
        let had = thread::capability_is_in_ambient_set(KEPT).unwrap_or(true);
        // Where it is not permitted and inheritable the kernel says no, and that is the answer.
        Self(!had && thread::configure_capability_in_ambient_set(KEPT, true).is_ok())
    }
}

impl Drop for LentPorts {
    fn drop(&mut self) {
        if self.0 {
            let _ = thread::configure_capability_in_ambient_set(KEPT, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_becomes_anybody_beside_other_threads() {
        // A test is a thread of its own beside the one that started it.
        let nobody = 65_534;
        let error = become_account(nobody, nobody, &[nobody]).unwrap_err();
        match is_root() {
            true => assert!(matches!(error, BecomeError::Threads(2..)), "{error}"),
            false => assert!(matches!(error, BecomeError::NotRoot(_)), "{error}"),
        }
    }

    #[test]
    fn a_directory_is_made_only_where_nobody_else_could_have_put_one() {
        if !is_root() {
            return;
        }
        let root = tempfile::tempdir().unwrap();
        let owner = |path: &str| fs::metadata(root.path().join(path)).unwrap().uid();
        make_for(&root.path().join("a/b"), 4_242, 4_242).unwrap();
        assert_eq!((owner("a"), owner("a/b")), (4_242, 4_242));
        // What is another's, or anybody's, is no place to make something as root.
        make_for(&root.path().join("a/b/c"), 4_242, 4_242).unwrap();
        assert!(!root.path().join("a/b/c").exists());
        fs::create_dir(root.path().join("own")).unwrap();
        make_for(&root.path().join("own"), 4_242, 4_242).unwrap();
        assert_eq!(owner("own"), 0);
        std::os::unix::fs::symlink("nowhere", root.path().join("link")).unwrap();
        make_for(&root.path().join("link"), 4_242, 4_242).unwrap();
        assert!(!root.path().join("nowhere").exists());
    }
}
