//! What a main file and those that it includes say together.

use std::collections::HashMap;

use super::node::{Entry, Node, Value};
use super::problem::Problems;
use super::source::At;
use super::written::{self, Line, Written};

/// What several files have together.
#[derive(Default)]
pub(super) struct Merged {
    pub(super) services: Vec<Entry>,
    /// Where each name was first defined.
    pub(super) names: HashMap<String, At>,
    pub(super) routes: Vec<Node>,
}

impl Merged {
    /// Everything as one file.
    pub(super) fn written(&self, root: &Node, problems: &Problems) -> Written {
        let main = problems.path_of(root.at.file);
        let paths = |at: At| {
            let path = problems.path_at(at).filter(|_| at.file != root.at.file)?;
            Some(written::as_main_names_it(path, &main))
        };
        let own = |it: &&Entry| !["include", "services", "routes"].contains(&it.key.text.as_str());
        let entries = match &root.value {
            Value::Map(entries) => entries.iter().filter(own),
            Value::Scalar { .. } | Value::List(_) => [].iter().filter(own),
        };
        let mut lines: Vec<Line> =
            entries.map(|it| Line::new(&it.key.text, Written::of(&it.value, &paths))).collect();
        let services = self.services.iter().map(|it| Line::new(&it.key.text, Written::of(&it.value, &paths)));
        lines.push(Line::new("services", Written::Map(services.collect())));
        if !self.routes.is_empty() {
            let routes = self.routes.iter().map(|it| Written::of(it, &paths));
            lines.push(Line::new("routes", Written::List(routes.collect())));
        }
        lines.retain(|it| it.value != Written::default());
        Written::Map(lines)
    }
}
