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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_have_names_or_numbers() {
        assert_eq!(user_name(0), "root");
        assert_eq!(user_name(u32::MAX - 7), format!("uid {}", u32::MAX - 7));
    }
}
