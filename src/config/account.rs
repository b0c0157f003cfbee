//! `user` and `group`: the account whose rights the process has once it runs.

use super::code::Code;
use super::fields::{self, Fields};
use super::node::Node;
use super::problem::{Problems, Report};
use super::source::Files;
use super::yaml::shown;

/// An account of this system.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Account {
    /// As the file names it.
    pub name: String,
    /// Number of the user; never 0.
    pub user: u32,
    /// Number of the group.
    pub group: u32,
    /// Numbers of all groups that it belongs to.
    pub groups: Vec<u32>,
}

/// Why there is no such account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NoAccount {
    /// No user has this name.
    User,
    /// No group has this name.
    Group,
    /// A number that no user has a name for belongs to no group.
    GroupOfNumber,
    /// The system cannot look it up.
    Failed(String),
}

/// `user`, with `group` if that is another one than its own.
pub(super) fn account(fields: &Fields<'_>, files: &dyn Files, problems: &mut Problems) -> Option<Account> {
    let group_entry = fields.entry("group");
    let Some(user_entry) = fields.entry("user") else {
        if let Some(entry) = group_entry {
            let report =
                Report::error(Code::Account, entry.key.at, "`group` is a user's, and there is no `user`");
            problems.push(report.help("say which user: user: tidegate"));
        }
        return None;
    };
    let user = name(&user_entry.value, problems);
    let group = group_entry.map(|it| name(&it.value, problems));
    // A group that cannot be understood has been reported, and the user alone would be another account.
    let (user, group) = (user?, group.map_or(Some(None), |it| it.map(Some))?);
    let (at, message, help) = match files.account(user, group) {
        Ok(found) if found.user == 0 => {
            let message = format!("`{}` is root, which gives up nothing", shown(user));
            (
                user_entry.value.at,
                message,
                "name an account that may do nothing else, or leave `user` out".to_owned(),
            )
        }
        Ok(found) => return Some(found),
        Err(why) => {
            let at = if why == NoAccount::Group { group_entry.map(|it| it.value.at) } else { None };
            let (message, help) = explained(&why, user, group.unwrap_or_default());
            (at.unwrap_or(user_entry.value.at), message, help)
        }
    };
    problems.push(Report::error(Code::Account, at, message).help(help));
    None
}

fn explained(why: &NoAccount, user: &str, group: &str) -> (String, String) {
    let (user, group) = (shown(user), shown(group));
    match why {
        NoAccount::User => (
            format!("this system has no user `{user}`"),
            format!("make one: useradd --system --user-group --no-create-home {user}"),
        ),
        NoAccount::Group => {
            (format!("this system has no group `{group}`"), format!("make one: groupadd --system {group}"))
        }
        NoAccount::GroupOfNumber => (
            format!("no user of this system has the number {user}, so it has no group"),
            "add `group`".to_owned(),
        ),
        NoAccount::Failed(why) => {
            (format!("the system cannot look up user `{user}`: {why}"), "try again".to_owned())
        }
    }
}

/// A name or a number.
fn name<'a>(node: &'a Node, problems: &mut Problems) -> Option<&'a str> {
    let text = fields::text(node, problems)?;
    let fits = |it: char| !it.is_whitespace() && !it.is_control() && !":/,".contains(it);
    if text.is_empty() || text.len() > NAME_BYTES_MAX || !text.chars().all(fits) {
        let message = format!("`{}` cannot be the name of a user or group", shown(text));
        problems.push(Report::error(Code::Account, node.at, message).help("a name, or a number"));
        return None;
    }
    Some(text)
}

/// No system has longer ones.
const NAME_BYTES_MAX: usize = 256;
