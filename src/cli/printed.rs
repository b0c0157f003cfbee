//! What verbs print with `--json` that no answer of the admin interface is. Members are only ever added.

use schemars::JsonSchema;
use serde::Serialize;

use crate::admin::wire::{EventWire, NotificationWire, TallyWire};

/// `version --json`.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct VersionJson {
    /// The version of the program.
    pub version: &'static str,
    /// The system that it was built for.
    pub os: &'static str,
    /// The processor that it was built for.
    pub arch: &'static str,
}

/// `explain CODE --json`.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct CodeJson {
    /// The code.
    pub code: String,
    /// What it checks and why.
    pub text: String,
}

/// `events --json`: each line is a decision, or, with `--notifications`, what became of telling somebody of one. The
/// latter has `notification`, and the former has not.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[serde(untagged)]
pub enum EventLineJson<'a> {
    /// What became of telling somebody of a decision.
    Notification {
        /// That.
        notification: &'a NotificationWire,
    },
    /// A decision.
    Decision(&'a EventWire),
}

/// `import --json`.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct ImportJson {
    /// What the files are of: `nginx`, `haproxy` or `kubernetes`.
    pub from: &'static str,
    /// The new file; nothing if there is no service in the old ones.
    pub yaml: Option<String>,
    /// What has to be known about it, in the order of the files.
    pub remarks: Vec<RemarkJson>,
}

/// A line of a file that is not in the new one, or acts differently there.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct RemarkJson {
    /// The file.
    pub file: Option<String>,
    /// The line, from 1.
    pub line: usize,
    /// `refused`, `differs` or `needless`.
    pub kind: &'static str,
    /// What stands there, shortened.
    pub what: String,
    /// One sentence.
    pub why: String,
}

/// `notify --test --json`: each line.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct NotifiedJson {
    /// The target.
    pub target: String,
    /// Where it is.
    pub place: String,
    /// Why it did not take the test; nothing if it did.
    pub problem: Option<String>,
}

/// `replay --json`: each line.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct ReplayedJson {
    /// When it was decided, in RFC 3339.
    pub at: String,
    /// What was decided.
    pub line: String,
    /// The canary's judged responses by then.
    pub canary: TallyWire,
    /// Stable's.
    pub stable: TallyWire,
}

/// `token --json`.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct TokenJson {
    /// The token; nothing if it was put into a file.
    pub token: Option<String>,
    /// What a server may keep in its place.
    pub hash: String,
}
