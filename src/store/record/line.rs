//! Lines of the history as they are written.

use serde::{Deserialize, Serialize};

use crate::model::{EvidenceLine, Generation, Tally, Timestamp};
use crate::release::{Entry, What};
use crate::store::Line;

use super::{ActorFile, VersionFile, unreadable, weight};

#[derive(Deserialize, Serialize)]
pub(super) struct LineFile {
    id: u64,
    service: String,
    at_us: u64,
    what: String,
    by: ActorFile,
    version: VersionFile,
    from_bp: u16,
    to_bp: u16,
    text: String,
    generation: u64,
    evidence: Option<EvidenceLineFile>,
}

/// For people: numbers are rounded as JSON does.
#[derive(Deserialize, Serialize)]
struct EvidenceLineFile {
    canary: TallyFile,
    stable: TallyFile,
    difference: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
    limit: Option<f64>,
}

#[derive(Deserialize, Serialize)]
struct TallyFile {
    requests: u64,
    bad: u64,
}

impl LineFile {
    pub fn of(it: &Line) -> Self {
        Self {
            id: it.id,
            service: it.service.to_string(),
            at_us: it.entry.at.0,
            what: it.entry.what.as_str().to_owned(),
            by: ActorFile::of(&it.entry.by),
            version: VersionFile::of(&it.entry.version),
            from_bp: it.entry.from.basis_points(),
            to_bp: it.entry.to.basis_points(),
            text: it.entry.text.clone(),
            generation: it.generation.0,
            evidence: it.evidence.as_ref().map(EvidenceLineFile::of),
        }
    }

    pub fn meant(self) -> Result<Line, serde_json::Error> {
        let what = What::EVERY.into_iter().find(|it| it.as_str() == self.what);
        Ok(Line {
            id: self.id,
            service: self.service.parse().map_err(unreadable)?,
            entry: Entry {
                at: Timestamp(self.at_us),
                what: what.ok_or_else(|| unreadable(format!("no such event: `{}`", self.what)))?,
                by: self.by.meant(),
                version: self.version.meant()?,
                from: weight(self.from_bp)?,
                to: weight(self.to_bp)?,
                text: self.text,
            },
            generation: Generation(self.generation),
            evidence: self.evidence.map(EvidenceLineFile::meant),
        })
    }
}

impl EvidenceLineFile {
    fn of(it: &EvidenceLine) -> Self {
        let tally = |it: Tally| TallyFile { requests: it.requests, bad: it.bad };
        Self {
            canary: tally(it.canary),
            stable: tally(it.stable),
            difference: it.difference,
            low: it.low,
            high: it.high,
            limit: it.limit,
        }
    }

    fn meant(self) -> EvidenceLine {
        let tally = |it: TallyFile| Tally { requests: it.requests, bad: it.bad };
        EvidenceLine {
            canary: tally(self.canary),
            stable: tally(self.stable),
            difference: self.difference,
            low: self.low,
            high: self.high,
            limit: self.limit,
        }
    }
}
