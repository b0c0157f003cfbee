//! The demonstration's own folder: its configuration file, its state, its socket. Removed at the end;
//! nothing of the user's is read or written.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::Duration;

use rand::TryRng;
use rand::rngs::SysRng;

/// A private directory that goes when this is dropped.
pub(super) struct Folder {
    path: PathBuf,
    text: String,
}

impl Folder {
    /// Makes one where temporary files belong.
    pub(super) fn make() -> io::Result<Self> {
        let mut parent = std::env::temp_dir();
        // The path of a Unix socket has about a hundred bytes at most.
        if parent.as_os_str().len() > PARENT_BYTES_MAX {
            parent = "/tmp".into();
        }
        loop {
            let number = SysRng.try_next_u32().map_err(|error| io::Error::other(error.to_string()))?;
            let path = parent.join(format!("tidegate-demo-{number:08x}"));
            // Made by us or not at all: somebody else may have a directory of that name there.
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self { path, text: String::new() }),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The configuration file.
    pub(super) fn file(&self) -> PathBuf {
        self.path.join("tidegate.yaml")
    }

    /// What is in the file.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Writes the file as editors do: a new one, put in the place of the old one.
    pub(super) fn write(&mut self, text: String) -> io::Result<()> {
        let new = self.path.join("tidegate.yaml.new");
        // Whoever may write the file decides where the traffic goes, so it is refused when others may.
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        fs::rename(&new, self.file())?;
        self.text = text;
        Ok(())
    }

    /// Replaces one line of the file. Whether it is there is the caller's business.
    pub(super) fn edit(&mut self, old: &str, new: &str) -> io::Result<()> {
        self.write(self.text.replacen(old, new, 1))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed lies where the system cleans up by itself.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// The file at the beginning: a service with a rollout, and one without.
pub(super) fn first_text(backends: &[(&'static str, SocketAddr)], soak: Duration, watch: Duration) -> String {
    let of = |name: &str| {
        let found = backends.iter().find(|it| it.0 == name);
        found.map_or_else(String::new, |it| format!("http://{}", it.1))
    };
    let (soak, watch) = (written(soak), written(watch));
    format!(
        "listen: 127.0.0.1:0        # a port that the kernel chooses
admin: {{listen: 127.0.0.1:0, socket: admin.sock}}
state: state
workers: 2
services:
  shop:
    live: v1
    versions:
      v1: {v1}
      v2: {v2}
      v3: {v3}
    rollout:
      steps: [10% for {soak}, 50% for {soak}]
      watch: {watch}
  blog:
    hosts: [{BLOG_HOST}]
    live: blue
    versions:
      blue:  {blue}
      green: {green}
",
        v1 = of("v1"),
        v2 = of("v2"),
        v3 = of("v3"),
        blue = of("blue"),
        green = of("green"),
    )
}

/// A span as the file has it: `3s`, `1200ms`.
pub(super) fn written(span: Duration) -> String {
    match span.as_millis() {
        whole if whole.is_multiple_of(1000) => format!("{}s", whole / 1000),
        rest => format!("{rest}ms"),
    }
}

/// The host of the second service; the first one has all others.
pub(super) const BLOG_HOST: &str = "blog.localhost";

/// Longest path of the directory for temporary files in which a socket still fits.
const PARENT_BYTES_MAX: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Disk;
    use crate::config::load;

    #[test]
    fn the_file_is_valid_and_goes_away() {
        let mut folder = Folder::make().unwrap();
        let path = folder.path.clone();
        let every: Vec<_> = ["v1", "v2", "v3", "blue", "green"]
            .into_iter()
            .zip(1..)
            .map(|(name, port)| (name, SocketAddr::from(([127, 0, 0, 1], port))))
            .collect();
        folder.write(first_text(&every, Duration::from_millis(1_200), Duration::from_secs(2))).unwrap();
        folder.edit("live: v1", "live: v2").unwrap();
        let loaded = load(&folder.file(), &Disk);
        let config = loaded.config.unwrap_or_else(|| panic!("{}", loaded.problems.render_human(false)));
        assert_eq!(loaded.problems.iter().count(), 0, "{}", loaded.problems.render_human(false));
        assert_eq!(config.services[0].live.0, 1);
        assert_eq!(config.services[0].plan.steps[0].soak, Duration::from_millis(1_200));
        drop(folder);
        assert!(!path.exists());
    }
}
