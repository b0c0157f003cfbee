//! Where a server keeps its state and its socket when the file does not say.

use std::env;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The state directory: what the file says, else `$STATE_DIRECTORY` (set by systemd), else
/// `$XDG_STATE_HOME/tidegate`, else `~/.local/state/tidegate`. With an account of its own the home of whoever
/// starts the server has no part in that.
pub fn state_directory(configured: Option<&Path>, own_account: bool) -> PathBuf {
    let homeless = |name: &str| own_account && ["XDG_STATE_HOME", "HOME"].contains(&name);
    resolve_state(configured, &|name| {
        if homeless(name) { None } else { env::var_os(name).map(PathBuf::from) }
    })
}

/// The admin socket: what the file says, else `$RUNTIME_DIRECTORY/admin.sock` (set by systemd), else
/// `admin.sock` in the state directory, so that several servers live side by side.
pub fn admin_socket(configured: Option<&Path>, state: &Path) -> PathBuf {
    resolve_socket(configured, state, &|name| env::var_os(name).map(PathBuf::from))
}

/// Makes a directory that only its owner can enter. It must not be there: in a directory that everybody
/// may write to, it could be somebody else's.
pub fn make_own(directory: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().mode(0o700).create(directory)
}

type Variable<'a> = &'a dyn Fn(&str) -> Option<PathBuf>;

fn resolve_state(configured: Option<&Path>, variable: Variable<'_>) -> PathBuf {
    if let Some(it) = configured {
        return it.to_owned();
    }
    if let Some(it) = first_directory(variable, "STATE_DIRECTORY") {
        return it;
    }
    // The XDG specification tells readers to ignore a relative path.
    if let Some(it) = variable("XDG_STATE_HOME").filter(|it| it.is_absolute()) {
        return it.join(NAME);
    }
    match variable("HOME").filter(|it| it.is_absolute()) {
        Some(home) => home.join(".local/state").join(NAME),
        None => Path::new("/var/lib").join(NAME),
    }
}

fn resolve_socket(configured: Option<&Path>, state: &Path, variable: Variable<'_>) -> PathBuf {
    if let Some(it) = configured {
        return it.to_owned();
    }
    first_directory(variable, "RUNTIME_DIRECTORY").unwrap_or_else(|| state.to_owned()).join(SOCKET)
}

/// systemd joins several directories with colons; ours is the first.
fn first_directory(variable: Variable<'_>, name: &str) -> Option<PathBuf> {
    let all = variable(name)?;
    let first = all.to_str()?.split(':').next()?;
    (!first.is_empty()).then(|| PathBuf::from(first))
}

const NAME: &str = "tidegate";
const SOCKET: &str = "admin.sock";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_then_systemd_then_the_user() {
        let with = |set: &'static [(&'static str, &'static str)]| {
            move |name: &str| set.iter().find(|it| it.0 == name).map(|it| PathBuf::from(it.1))
        };
        let all = with(&[("STATE_DIRECTORY", "/s:/t"), ("XDG_STATE_HOME", "/x"), ("HOME", "/h")]);
        assert_eq!(resolve_state(Some(Path::new("/f")), &all), Path::new("/f"));
        assert_eq!(resolve_state(None, &all), Path::new("/s"));
        let user = with(&[("XDG_STATE_HOME", "/x"), ("HOME", "/h")]);
        assert_eq!(resolve_state(None, &user), Path::new("/x/tidegate"));
        let home = with(&[("XDG_STATE_HOME", "x"), ("HOME", "/h")]);
        assert_eq!(resolve_state(None, &home), Path::new("/h/.local/state/tidegate"));
        assert_eq!(resolve_state(None, &with(&[])), Path::new("/var/lib/tidegate"));
        let state = Path::new("/st");
        assert_eq!(resolve_socket(None, state, &home), Path::new("/st/admin.sock"));
        let run = with(&[("RUNTIME_DIRECTORY", "/run/tidegate")]);
        assert_eq!(resolve_socket(None, state, &run), Path::new("/run/tidegate/admin.sock"));
        assert_eq!(resolve_socket(Some(Path::new("/a.sock")), state, &run), Path::new("/a.sock"));
    }
}
