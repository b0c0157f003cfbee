//! A route, in our words.

use crate::config::Written;
use crate::routing::PathPattern;

use super::super::remark::At;
use super::words::{is_path, line, list, map, quoted, text, word};

/// A match that leads to a service, or elsewhere.
#[derive(Clone, Debug, Default)]
pub(in crate::import) struct Route {
    pub at: At,
    pub hosts: Vec<String>,
    pub path: Path,
    pub methods: Vec<String>,
    /// With `None`, any value.
    pub headers: Vec<(String, Option<String>)>,
    pub query: Vec<(String, Option<String>)>,
    pub to: Option<String>,
    /// `rewrite`, `redirect`, `set_headers` and so on.
    pub keys: Vec<(&'static str, Written)>,
}

/// Which paths.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(in crate::import) enum Path {
    #[default]
    All,
    Prefix(String),
    Exact(String),
    Regex(String),
}

impl Path {
    /// Whether it can be said here; then it stands in the form in which requests are compared with it.
    pub fn fits(&self) -> bool {
        match self {
            Self::All => true,
            Self::Regex(it) => PathPattern::new(it).is_ok(),
            Self::Prefix(it) | Self::Exact(it) => is_path(it),
        }
    }
}

impl Route {
    /// Adds to one of its keys that has a part for requests and one for responses.
    pub fn header(&mut self, key: &'static str, side: &str, name: Option<&str>, value: Written) {
        let index = self.keys.iter().position(|it| it.0 == key).unwrap_or_else(|| {
            self.keys.push((key, Written::Map(Vec::new())));
            self.keys.len() - 1
        });
        let Written::Map(sides) = &mut self.keys[index].1 else { return };
        let empty = || if name.is_some() { Written::Map(Vec::new()) } else { Written::List(Vec::new()) };
        let side_index = sides.iter().position(|it| it.key == side).unwrap_or_else(|| {
            sides.push(line(side, empty()));
            sides.len() - 1
        });
        match (&mut sides[side_index].value, name) {
            (Written::Map(lines), Some(name)) => {
                lines.retain(|it| !it.key.eq_ignore_ascii_case(name));
                lines.push(line(name, value));
            }
            (Written::List(items), None) if !items.contains(&value) => items.push(value),
            _ => {}
        }
    }

    /// Takes back what replaces a prefix. Whether there was something.
    pub fn forget_prefix(&mut self) -> bool {
        let has_prefix = |it: &Written| it.get("prefix").is_some();
        let before = self.keys.len();
        self.keys.retain(|(key, value)| *key != "rewrite" || !has_prefix(value));
        let mut forgotten = self.keys.len() < before;
        for (_, value) in self.keys.iter_mut().filter(|it| it.0 == "redirect") {
            let Written::Map(lines) = value else { continue };
            let before = lines.len();
            lines.retain(|it| it.key != "path" || !has_prefix(&it.value));
            forgotten |= lines.len() < before;
            // A redirect changes something.
            if lines.iter().all(|it| it.key == "status") {
                lines.push(line("scheme", word("https")));
            }
        }
        forgotten
    }

    /// Whether it takes the same as another, hosts aside.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        (&self.path, &self.methods, &self.headers, &self.query)
            == (&other.path, &other.methods, &other.headers, &other.query)
    }

    /// Whether it takes everything of its hosts and does nothing else: then the hosts can be the service's.
    pub fn is_whole_host(&self) -> bool {
        self.path == Path::All
            && self.methods.is_empty()
            && self.headers.is_empty()
            && self.query.is_empty()
            && self.keys.is_empty()
    }

    pub(super) fn written(&self) -> Written {
        let mut matches = Vec::new();
        match self.hosts.as_slice() {
            [] => {}
            [one] => matches.push(("host", text(one))),
            all => matches.push(("host", list(all.iter().map(text)))),
        }
        match &self.path {
            Path::All => {}
            Path::Prefix(it) => matches.push(("path", text(it))),
            Path::Exact(it) => matches.push(("path", map([("exact", text(it))]))),
            Path::Regex(it) => matches.push(("path", map([("regex", text(it))]))),
        }
        match self.methods.as_slice() {
            [] => {}
            [one] => matches.push(("method", text(one))),
            all => matches.push(("method", list(all.iter().map(text)))),
        }
        for (key, conditions) in [("header", &self.headers), ("query", &self.query)] {
            if !conditions.is_empty() {
                matches.push((
                    key,
                    map(conditions.iter().map(|(name, value)| {
                        let any = || map([("present", word(true))]);
                        (name.clone(), value.as_ref().map_or_else(any, |it| quoted(it)))
                    })),
                ));
            }
        }
        let mut lines = Vec::new();
        if !matches.is_empty() {
            lines.push(("match", map(matches)));
        }
        lines.extend(self.to.as_ref().map(|it| ("to", text(it))));
        lines.extend(self.keys.iter().cloned());
        map(lines)
    }
}
