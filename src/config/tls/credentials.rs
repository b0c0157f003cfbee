//! Reads the files that TLS needs, and remembers which ones they were.

use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3Default;

use super::super::code::Code;
use super::super::fields;
use super::super::node::Node;
use super::super::problem::{Problems, Report};
use super::super::source::Files;
use crate::model::Timestamp;

/// The way to certificates and keys.
pub(in super::super) struct Credentials<'a> {
    files: &'a dyn Files,
    /// When the file is loaded: certificates have a time.
    pub(in super::super) now: Timestamp,
    /// What was read or looked for.
    pub(in super::super) read: Vec<PathBuf>,
    of_system: Option<Vec<Vec<u8>>>,
    /// Over the contents.
    pub(in super::super) digest: Xxh3Default,
}

/// The content of a file in PEM, and where it is.
pub(super) struct Pem {
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
}

impl<'a> Credentials<'a> {
    pub(in super::super) fn new(files: &'a dyn Files) -> Self {
        let (read, digest) = (Vec::new(), Xxh3Default::new());
        Self { files, now: files.now(), read, of_system: None, digest }
    }

    /// The authorities that this system believes, read when they are first asked for.
    pub(super) fn authorities_of_system(&mut self) -> &[Vec<u8>] {
        self.of_system.get_or_insert_with(|| self.files.authorities())
    }

    /// The file that `node` names, if it could hold something in PEM. Reports by `code` if it could not.
    pub(super) fn pem(&mut self, node: &Node, code: Code, problems: &mut Problems) -> Option<Pem> {
        self.read_with(node, code, problems, |files, path| files.read(path))
    }

    /// The same for a file that nobody else may read.
    pub(super) fn secret_pem(&mut self, node: &Node, code: Code, problems: &mut Problems) -> Option<Pem> {
        self.read_with(node, code, problems, |files, path| files.read_secret(path))
    }

    /// A variable of the environment.
    pub(in super::super) fn variable(&mut self, name: &str) -> Option<String> {
        let value = self.files.variable(name);
        self.digest.update(name.as_bytes());
        self.digest.update(value.as_deref().unwrap_or_default().as_bytes());
        value
    }

    /// The text of a file that nobody else may read, at a path that `node` ends with; or why there is none.
    pub(in super::super) fn secret_text(
        &mut self,
        node: &Node,
        written: &str,
        problems: &Problems,
    ) -> Result<String, String> {
        let file = problems.path_of(node.at.file);
        let path = file.parent().map_or_else(|| PathBuf::from(written), |it| it.join(written));
        self.read.push(path.clone());
        let bytes = self.files.read_secret(&path).map_err(|error| {
            self.digest.update(b"unreadable");
            format!("cannot read {}: {error}", path.display())
        })?;
        self.digest.update(&(bytes.len() as u64).to_le_bytes());
        self.digest.update(&bytes);
        String::from_utf8(bytes).map_err(|_| format!("{} is no text", path.display()))
    }

    fn read_with(
        &mut self,
        node: &Node,
        code: Code,
        problems: &mut Problems,
        read: impl FnOnce(&dyn Files, &Path) -> std::io::Result<Vec<u8>>,
    ) -> Option<Pem> {
        let path = fields::path(node, problems)?;
        self.read.push(path.clone());
        let bytes = match read(self.files, &path) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.digest.update(b"unreadable");
                let message = format!("cannot read {}: {error}", path.display());
                problems.push(Report::error(code, node.at, message));
                return None;
            }
        };
        self.digest.update(&(bytes.len() as u64).to_le_bytes());
        self.digest.update(&bytes);
        let (what, help) = match bytes.as_slice() {
            [] => ("is empty", None),
            // Every structure of ASN.1 that could be meant begins like this, and no text does.
            [0x30, 0x80..=0xff, ..] => (
                "is DER, and PEM is wanted",
                Some("openssl x509 -inform der, or pkey, writes the other form"),
            ),
            _ => return Some(Pem { path, bytes }),
        };
        let report = Report::error(code, node.at, format!("{} {what}", path.display()));
        problems.push(match help {
            Some(help) => report.help(help),
            None => report,
        });
        None
    }
}
