//! The accounts of this system, wherever it keeps them: asked of the C library, as every program does.

use std::ffi::CString;
use std::io;

use nix::unistd::{Gid, Group, Uid, User, getgrouplist};

/// What is known of a user.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UserNumbers {
    /// Its name.
    pub name: String,
    /// Its number.
    pub user: u32,
    /// Number of its own group.
    pub group: u32,
}

/// A user by its name or its number; `None` if there is none.
pub fn user_numbers(user: &str) -> io::Result<Option<UserNumbers>> {
    let by_name = User::from_name(user)?;
    let found = match (by_name, user.parse()) {
        (None, Ok(number)) => User::from_uid(Uid::from_raw(number))?,
        (by_name, _) => by_name,
    };
    Ok(found.map(|it| UserNumbers { name: it.name, user: it.uid.as_raw(), group: it.gid.as_raw() }))
}

/// The number of the group of this name.
pub fn group_number(name: &str) -> io::Result<Option<u32>> {
    Ok(Group::from_name(name)?.map(|it| it.gid.as_raw()))
}

/// Every group that the user of this name belongs to, with `group` among them.
pub fn memberships(user: &str, group: u32) -> io::Result<Vec<u32>> {
    let groups = getgrouplist(&CString::new(user)?, Gid::from_raw(group))?;
    Ok(groups.into_iter().map(Gid::as_raw).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_name_and_by_number() {
        let root = user_numbers("root").unwrap().unwrap();
        assert_eq!(root, UserNumbers { name: "root".into(), user: 0, group: 0 });
        assert_eq!(user_numbers("0").unwrap(), Some(root));
        assert_eq!(user_numbers("no-such-user-here").unwrap(), None);
        assert_eq!(group_number("root").unwrap(), Some(0));
        assert_eq!(group_number("no-such-group-here").unwrap(), None);
        assert!(memberships("root", 4_242).unwrap().contains(&4_242));
    }
}
