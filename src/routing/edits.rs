//! What a route changes on the way: the path, header lines, or the whole answer.
//!
//! Values and their application to text. The caller brings the normalised path, the one that was
//! matched: a rewrite of the text as it was sent could miss a prefix that was spelled `%61pi`.

use std::sync::Arc;

use crate::message::HeaderEdit;

use super::matcher::PathPattern;

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
    /// Replaces what a regular expression matched, where it matched the beginning of the path.
    Pattern {
        /// The expression of the route.
        pattern: PathPattern,
        /// What stands there instead, literally.
        replacement: String,
    },
    /// Replaces the whole path.
    Full(String),
}

impl PathRewrite {
    /// Appends to `out` what becomes of the normalised `path`.
    ///
    /// Exactly one slash stands between a replacement and what follows it, as the Gateway API has it
    /// for `ReplacePrefixMatch`. A path that does not begin with what is to be replaced is kept.
    pub fn apply(&self, path: &str, out: &mut String) {
        match self {
            Self::Full(replacement) => out.push_str(replacement),
            Self::Prefix { matched, replacement } => {
                let prefix = matched.strip_suffix('/').unwrap_or(matched);
                match path.strip_prefix(prefix) {
                    Some(rest) if rest.is_empty() || rest.starts_with('/') => join(replacement, rest, out),
                    Some(_) | None => out.push_str(path),
                }
            }
            Self::Pattern { pattern, replacement } => match pattern.find(path) {
                Some((0, end)) => join(replacement, &path[end..], out),
                Some(_) | None => out.push_str(path),
            },
        }
    }
}

/// An answer that sends the client elsewhere.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Redirect {
    /// `https` or `http`; `None` keeps the request's.
    pub scheme: Option<String>,
    /// `None` keeps the request's.
    pub host: Option<String>,
    /// `None` is the well-known port of `scheme` where that is given, and the request's where not.
    pub port: Option<u16>,
    /// `None` keeps the request's.
    pub path: Option<PathRewrite>,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
}

impl Redirect {
    /// Appends the value of `Location` to `out`: an absolute address, with the query of the request.
    ///
    /// `host` is without port (an IPv6 address in brackets), `port` is the one the client wrote, if it
    /// wrote one, and `path` is normalised. The well-known port of the scheme is not written.
    pub fn location(
        &self,
        scheme: &str,
        host: &str,
        port: Option<u16>,
        path: &str,
        query: Option<&str>,
        out: &mut String,
    ) {
        let kept_port = if self.scheme.is_some() { None } else { port };
        let scheme = self.scheme.as_deref().unwrap_or(scheme);
        let port = self.port.or(kept_port).filter(|it| well_known_port(scheme) != Some(*it));
        out.push_str(scheme);
        out.push_str("://");
        out.push_str(self.host.as_deref().unwrap_or(host));
        if let Some(port) = port {
            push_number(port, out);
        }
        match &self.path {
            Some(rewrite) => rewrite.apply(path, out),
            None => out.push_str(path),
        }
        if let Some(query) = query {
            out.push('?');
            out.push_str(query);
        }
    }
}

fn join(replacement: &str, rest: &str, out: &mut String) {
    if rest.starts_with('/') {
        out.push_str(replacement.strip_suffix('/').unwrap_or(replacement));
    } else {
        out.push_str(replacement);
        // An expression can end in the middle of an element; an empty replacement leaves no path.
        if !replacement.ends_with('/') && (!rest.is_empty() || replacement.is_empty()) {
            out.push('/');
        }
    }
    out.push_str(rest);
}

fn well_known_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

/// Without the allocation of `to_string`.
fn push_number(port: u16, out: &mut String) {
    use std::fmt::Write as _;
    write!(out, ":{port}").expect("writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the Gateway API for `ReplacePrefixMatch`, and what follows from it.
    #[test]
    fn prefixes_are_replaced_by_whole_elements() {
        for (path, matched, replacement, expected) in [
            ("/foo/bar", "/foo", "/xyz", "/xyz/bar"),
            ("/foo/bar", "/foo", "/xyz/", "/xyz/bar"),
            ("/foo/bar", "/foo/", "/xyz", "/xyz/bar"),
            ("/foo/bar", "/foo/", "/xyz/", "/xyz/bar"),
            ("/foo", "/foo", "/xyz", "/xyz"),
            ("/foo/", "/foo", "/xyz", "/xyz/"),
            ("/foo/bar", "/foo", "", "/bar"),
            ("/foo/", "/foo", "", "/"),
            ("/foo", "/foo", "", "/"),
            ("/foo/", "/foo", "/", "/"),
            ("/foo", "/foo", "/", "/"),
            ("/foo", "/foo", "/xyz/", "/xyz/"),
            ("/foo/bar", "/", "/xyz", "/xyz/foo/bar"),
            ("/", "/", "/xyz", "/xyz/"),
            ("/foo//bar", "/foo", "/xyz", "/xyz//bar"),
            ("/foobar", "/foo", "/xyz", "/foobar"),
            ("/other", "/foo", "/xyz", "/other"),
        ] {
            let rewrite =
                PathRewrite::Prefix { matched: matched.to_owned(), replacement: replacement.to_owned() };
            check(&rewrite, path, expected);
        }
    }

    #[test]
    fn what_an_expression_matched_is_replaced() {
        for (path, pattern, replacement, expected) in [
            ("/v1/users", "^/v[0-9]+/", "/", "/users"),
            ("/v1/", "^/v[0-9]+/", "/", "/"),
            ("/v1/users", "^/v[0-9]+", "/", "/users"),
            ("/v1/users", "^/v[0-9]+", "", "/users"),
            ("/v1", "^/v[0-9]+", "", "/"),
            ("/v1/users", "^/v[0-9]+/", "/api", "/api/users"),
            ("/v1/users", "^/v", "/version", "/version/1/users"),
            ("/x/v1/users", "/v[0-9]+/", "/", "/x/v1/users"),
            ("/users", "^/v[0-9]+/", "/", "/users"),
        ] {
            let pattern = PathPattern::new(pattern).unwrap();
            check(&PathRewrite::Pattern { pattern, replacement: replacement.to_owned() }, path, expected);
        }
        check(&PathRewrite::Full("/gone".to_owned()), "/a/b", "/gone");
    }

    #[track_caller]
    fn check(rewrite: &PathRewrite, path: &str, expected: &str) {
        let mut out = String::from("before ");
        rewrite.apply(path, &mut out);
        assert_eq!(out, format!("before {expected}"), "{path} by {rewrite:?}");
    }

    #[test]
    fn locations() {
        let to = |scheme: Option<&str>, host: Option<&str>, port, path: Option<&str>| Redirect {
            scheme: scheme.map(str::to_owned),
            host: host.map(str::to_owned),
            port,
            path: path.map(|it| PathRewrite::Full(it.to_owned())),
            status: 301,
        };
        for (redirect, request, expected) in [
            (to(Some("https"), None, None, None), ("http", Some(8080)), "https://a.test/x?q=1"),
            (to(Some("https"), None, Some(8443), None), ("http", None), "https://a.test:8443/x?q=1"),
            (to(Some("https"), None, Some(443), None), ("http", None), "https://a.test/x?q=1"),
            (to(Some("http"), None, None, None), ("http", Some(8080)), "http://a.test/x?q=1"),
            (to(None, Some("b.test"), None, None), ("http", Some(8080)), "http://b.test:8080/x?q=1"),
            (to(None, Some("b.test"), None, None), ("http", Some(80)), "http://b.test/x?q=1"),
            (to(None, Some("b.test"), Some(443), None), ("http", None), "http://b.test:443/x?q=1"),
            (to(None, None, None, Some("/new")), ("https", Some(443)), "https://a.test/new?q=1"),
        ] {
            let mut out = String::new();
            redirect.location(request.0, "a.test", request.1, "/x", Some("q=1"), &mut out);
            assert_eq!(out, expected, "{redirect:?}");
        }
        let mut out = String::new();
        to(Some("https"), None, None, None).location("http", "[::1]", Some(80), "/", None, &mut out);
        assert_eq!(out, "https://[::1]/");
    }
}
