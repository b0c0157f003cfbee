//! What the process may do, as whom, and what others may do with what it makes.

use rustix::fs::Mode;
use rustix::process::{geteuid, umask};

/// From now on files are made for their owner alone, unless they are given another mode on purpose.
pub fn keep_files_private() {
    umask(Mode::RWXG | Mode::RWXO);
}

/// Whether it may do everything.
pub fn is_root() -> bool {
    geteuid().is_root()
}

/// The user that it acts as, by number.
pub fn own_user() -> u32 {
    geteuid().as_raw()
}

/// The name of a user, from the local list; networks of users are not asked.
pub fn user_name(number: u32) -> String {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(number)).then(|| name.to_owned())
    });
    named.unwrap_or_else(|| format!("uid {number}"))
}

/// Whether a user is alone in a group, by the local lists: the group that a user is given beside the name.
pub fn is_group_of_one(user: u32, group: u32) -> bool {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    is_alone(&read("/etc/passwd"), &read("/etc/group"), user, group)
}

fn is_alone(users: &str, groups: &str, user: u32, group: u32) -> bool {
    // `name:x:number:group:…`, and `name:x:number:members`.
    let mut alone = false;
    let mut own_name = None;
    for line in users.lines() {
        let [name, _, number, primary, ..] = line.split(':').collect::<Vec<_>>()[..] else { continue };
        let is_own = number.parse() == Ok(user);
        if is_own {
            own_name = Some(name);
        }
        if primary.parse() == Ok(group) {
            if !is_own {
                return false;
            }
            alone = true;
        }
    }
    let listed = groups.lines().filter_map(|line| match line.split(':').collect::<Vec<_>>()[..] {
        [_, _, number, members] if number.parse() == Ok(group) => Some(members),
        _ => None,
    });
    for member in listed.flat_map(|it| it.split(',')).filter(|it| !it.is_empty()) {
        if Some(member) != own_name {
            return false;
        }
        alone = true;
    }
    alone
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_alone_in_a_group() {
        let users =
            "root:x:0:0::/:/bin/sh\nann:x:7:7::/:/bin/sh\nbob:x:8:8::/:/bin/sh\neve:x:9:100::/:/bin/sh\n";
        let groups = "root:x:0:\nann:x:7:\nbob:x:8:ann\nstaff:x:50:ann,bob\nown:x:51:ann\nusers:x:100:\n";
        for (user, group, expected) in [
            (0, 0, true),
            (7, 7, true),
            (8, 7, false),
            (8, 8, false),
            (7, 50, false),
            (7, 51, true),
            (7, 100, false),
            (9, 100, true),
            // Whoever has it is not known here.
            (7, 999, false),
        ] {
            assert_eq!(is_alone(users, groups, user, group), expected, "{user} {group}");
        }
    }

    #[test]
    fn users_have_names_or_numbers() {
        assert_eq!(user_name(0), "root");
        assert_eq!(user_name(u32::MAX - 7), format!("uid {}", u32::MAX - 7));
    }
}
