//! Where things are kept when the file does not say.

use std::path::{Path, PathBuf};

/// The state directory: the file's, else systemd's, else the user's.
pub fn state_directory(configured: Option<&Path>) -> PathBuf {
    let from = |name: &str| std::env::var_os(name).filter(|it| !it.is_empty()).map(PathBuf::from);
    if let Some(path) = configured {
        return path.to_owned();
    }
    // systemd separates several directories by colons; the first one is ours.
    if let Some(path) = std::env::var("STATE_DIRECTORY").ok().filter(|it| !it.is_empty()) {
        return PathBuf::from(path.split(':').next().unwrap_or_default());
    }
    let home = from("XDG_STATE_HOME").or_else(|| from("HOME").map(|it| it.join(".local/state")));
    home.unwrap_or_else(|| PathBuf::from("/var/lib")).join("tidegate")
}

/// The admin socket: the file's, else in systemd's runtime directory, else in the state directory.
pub fn admin_socket(configured: Option<&Path>, state: &Path) -> PathBuf {
    if let Some(path) = configured {
        return path.to_owned();
    }
    let runtime = std::env::var("RUNTIME_DIRECTORY").ok().filter(|it| !it.is_empty());
    let directory = runtime.map(|it| PathBuf::from(it.split(':').next().unwrap_or_default()));
    directory.unwrap_or_else(|| state.to_owned()).join("admin.sock")
}

/// Makes a directory that only its owner can enter, unless it is there.
pub fn make_private(directory: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}
