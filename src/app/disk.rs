//! The files of a configuration as they are on the disk.

use std::io::{self, Read};
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::config::{Account, Files, NoAccount, name_matches};
use crate::model::Timestamp;
use crate::runtime::{Clock, group_number, is_here, memberships, user_numbers};

/// Largest file that is read. A larger one is a mistake, and reading it would hold up everything else.
const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Reads from the disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        read(path, 0o022, "writable by others", "go-w")
    }

    fn read_secret(&self, path: &Path) -> io::Result<Vec<u8>> {
        read(path, 0o026, "readable by everybody, or writable by others", "go-w,o-r")
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn authorities(&self) -> Vec<Vec<u8>> {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "some certificates of this system cannot be read");
        }
        let mut certificates: Vec<Vec<u8>> = found.certs.iter().map(|it| it.to_vec()).collect();
        // In one order, whatever the directory's is, so that the same set is the same set.
        certificates.sort();
        certificates
    }

    fn account(&self, user: &str, group: Option<&str>) -> Result<Account, NoAccount> {
        let failed = |error: io::Error| NoAccount::Failed(error.to_string());
        let known = user_numbers(user).map_err(failed)?;
        let number = known.as_ref().map(|it| it.user).or_else(|| user.parse().ok()).ok_or(NoAccount::User)?;
        let group = match (group, &known) {
            (Some(name), _) => match group_number(name).map_err(failed)? {
                Some(it) => it,
                None => name.parse().map_err(|_| NoAccount::Group)?,
            },
            (None, Some(known)) => known.group,
            (None, None) => return Err(NoAccount::GroupOfNumber),
        };
        let groups = match &known {
            Some(known) => memberships(&known.name, group).map_err(failed)?,
            None => vec![group],
        };
        Ok(Account { name: user.to_owned(), user: number, group, groups })
    }

    fn is_here(&self, address: IpAddr) -> bool {
        is_here(address)
    }

    fn now(&self) -> Timestamp {
        Clock::system().now()
    }

    fn list(&self, pattern: &Path) -> io::Result<Vec<PathBuf>> {
        let directory = pattern.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let wanted = pattern.file_name().and_then(|it| it.to_str()).unwrap_or_default();
        let mut found = Vec::new();
        let entries = match std::fs::read_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_name().to_str().is_some_and(|name| name_matches(wanted, name)) {
                found.push(directory.join(entry.file_name()));
            }
        }
        found.sort();
        Ok(found)
    }
}

/// Reads a file none of whose permissions is among `refused`.
fn read(path: &Path, refused: u32, what: &str, remedy: &str) -> io::Result<Vec<u8>> {
    // Without waiting, so that a named pipe in the place of a file holds up nothing.
    let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let file = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    // Group and world: whoever can write the file decides where the traffic goes.
    if about.mode() & refused != 0 {
        let why = format!("{what} (mode {:o}); chmod {remedy} it", about.mode() & 0o777);
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 8 MiB"));
    }
    Ok(bytes)
}
