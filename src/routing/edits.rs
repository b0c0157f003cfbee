//! What a route changes on the way: the path, header lines, or the whole answer.

use std::sync::Arc;

/// One change of a head. Names are compared without case.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HeaderEdit {
    /// Removes every line of that name and adds one.
    Set(String, String),
    /// Adds a line.
    Add(String, String),
    /// Removes every line of that name.
    Remove(String),
}

/// Changes in the order in which they are applied. Checked when loaded: names are tokens, values
/// hold no control characters, and framing fields cannot be touched.
/// Shared, so that a request keeps them without a copy.
pub type HeaderEdits = Arc<[HeaderEdit]>;

/// A change of the path before it is forwarded. The query stays.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PathRewrite {
    /// Replaces the matched prefix by this one.
    Prefix {
        /// What the route matched, by whole elements.
        matched: String,
        /// What stands there instead.
        replacement: String,
    },
    /// Replaces the whole path.
    Full(String),
}

/// An answer that sends the client elsewhere.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Redirect {
    /// `https` or `http`; `None` keeps the request's.
    pub scheme: Option<String>,
    /// `None` keeps the request's.
    pub host: Option<String>,
    /// `None` keeps the request's, or the scheme's own if that was changed.
    pub port: Option<u16>,
    /// `None` keeps the request's.
    pub path: Option<PathRewrite>,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
}
