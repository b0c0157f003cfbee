//! From the files of other tools to one of ours, with a remark for everything in them that has no
//! counterpart here, or one that acts differently.
//!
//! [`read`] takes texts and gives a text: nothing is looked up, opened or asked. What it makes is a file that
//! [`config::load`](crate::config::load) accepts (certificates aside, which lie elsewhere), so whoever moves
//! reads the remarks and not the grammar.
//!
//! One module for each tool knows its grammar; what they find goes into a `draft`, which knows ours.

mod argo;
mod draft;
mod flagger;
mod foreign;
mod haproxy;
mod httproute;
mod kubernetes;
mod nginx;
mod remark;
mod units;

use crate::config::Written;

use draft::Draft;
use remark::Remarks;
pub use remark::{Remark, RemarkKind};

/// What a file is written for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// `upstream`, `split_clients`, `server`, `location`.
    Nginx,
    /// `frontend`, `backend`, weights of servers.
    HaProxy,
    /// Objects in YAML: `HTTPRoute` of the Gateway API, `Rollout` of Argo, `Canary` of Flagger.
    Kubernetes,
}

/// A file of another tool.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// What remarks call it.
    pub name: &'a str,
    /// What is in it.
    pub text: &'a str,
}

/// What came of the files.
#[derive(Clone, Debug)]
pub struct Imported {
    /// A file of ours. `None`: there was no service in them.
    pub file: Option<Written>,
    /// What is not in it, or acts differently, in the order of the files.
    pub remarks: Vec<Remark>,
}

/// A file that is not what it should be.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{file}:{line}: {why}")]
pub struct Unreadable {
    /// Which.
    pub file: String,
    /// Where, from 1.
    pub line: usize,
    /// One sentence.
    pub why: String,
}

impl Format {
    /// By what stands in a file; its name is only a hint, because everybody calls them as they like.
    pub fn guess(source: Source<'_>) -> Option<Self> {
        let lines = || source.text.lines().map(str::trim_start).filter(|it| !it.starts_with('#'));
        let begins = |words: &[&str]| {
            lines()
                .any(|line| words.contains(&line.split(|it: char| it.is_whitespace()).next().unwrap_or("")))
        };
        if lines().any(|it| it.starts_with("apiVersion:")) {
            Some(Self::Kubernetes)
        } else if begins(&["frontend", "backend", "defaults", "global"]) && !source.text.contains(';') {
            Some(Self::HaProxy)
        } else if begins(&["http", "server", "upstream", "split_clients", "events"])
            || source.name.ends_with(".conf")
        {
            Some(Self::Nginx)
        } else if source.name.ends_with(".cfg") {
            Some(Self::HaProxy)
        } else {
            None
        }
    }

    /// Its name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::HaProxy => "haproxy",
            Self::Kubernetes => "kubernetes",
        }
    }
}

/// Makes one file of ours out of those of another tool, read in this order.
pub fn read(format: Format, sources: &[Source<'_>]) -> Result<Imported, Unreadable> {
    let mut draft = Draft::default();
    let mut remarks = Remarks::default();
    if let Some(large) = sources.iter().find(|it| it.text.len() > FILE_BYTES_MAX) {
        let why = format!("a file has at most {FILE_BYTES_MAX} bytes");
        return Err(Unreadable { file: large.name.into(), line: 1, why });
    }
    match format {
        Format::Nginx => nginx::read(sources, &mut draft, &mut remarks)?,
        Format::HaProxy => haproxy::read(sources, &mut draft, &mut remarks)?,
        Format::Kubernetes => kubernetes::read(sources, &mut draft, &mut remarks)?,
    }
    Ok(Imported { file: draft.written(&mut remarks), remarks: remarks.sorted() })
}

/// As much as one of our own files may have.
const FILE_BYTES_MAX: usize = 8 * 1024 * 1024;
