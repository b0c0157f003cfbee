//! One line in the log for each change that somebody asked for, whatever came of it.
//!
//! The journal has what was decided; this has who asked, also when nothing came of it. What people send is
//! written as quoted text, so that it cannot end a line or colour a terminal.

use http::request::Parts;
use tracing::info;

use crate::controller::{Actor, Status};

use super::reply::{Code, Reply};

/// Notes a change.
pub(super) fn note(by: &Actor, head: &Parts, body: &[u8], reply: &Reply, status: &Status) {
    let text = String::from_utf8_lossy(&body[..body.len().min(BODY_BYTES_MAX)]);
    let code = reply.extensions().get::<Code>().map_or("done", |it| it.0);
    info!(
        target: "tidegate::audit",
        by = ?by.name,
        via = by.via.as_str(),
        what = ?head.uri.path().trim_start_matches("/api/v1/"),
        asked = ?text,
        status = reply.status().as_u16(),
        code,
        generation = status.generation.0,
        "change asked for"
    );
}

/// What is written down of a body: a command and its reason are shorter.
const BODY_BYTES_MAX: usize = 1_024;
