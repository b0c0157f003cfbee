//! HAProxy: servers of a backend with other weights become versions of a service, frontends hosts and routes.
//!
//! A version is named after the first of its servers.

mod backend;
mod frontend;
mod section;

use super::draft::Draft;
use super::remark::Remarks;
use super::{Source, Unreadable};

use section::{Section, Statement};

/// Reads all files.
pub(super) fn read(
    sources: &[Source<'_>],
    draft: &mut Draft,
    remarks: &mut Remarks,
) -> Result<(), Unreadable> {
    let mut sections = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        sections.extend(section::parse(index, source)?);
    }
    let mut defaults: Vec<Statement> = Vec::new();
    for it in &sections {
        match it.kind.as_str() {
            "global" => {
                for line in &it.statements {
                    remarks.needless(
                        line.at,
                        &line.shown(),
                        "the process needs no tuning; `admin` has the doors for people",
                    );
                }
            }
            // The last `defaults` before a section applies to it; one is what most files have.
            "defaults" => defaults = it.statements.clone(),
            "backend" => backend::take(it, &defaults, draft, remarks),
            "listen" if !it.statements.iter().any(|it| it.is(&["server"])) => {
                remarks.refused(
                    it.at,
                    &format!("listen {}", it.name),
                    "it has no server; `admin` has the doors for people",
                );
            }
            "listen" => {
                backend::take(it, &defaults, draft, remarks);
                frontend::take(it, draft, remarks);
            }
            "frontend" => frontend::take(it, draft, remarks),
            _ => remarks.refused(it.at, &format!("{} {}", it.kind, it.name), "nothing here does that"),
        }
    }
    for it in &defaults {
        if !backend::is_known_default(it) {
            remarks.refused(it.at, &it.shown(), "nothing here does that");
        }
    }
    Ok(())
}
