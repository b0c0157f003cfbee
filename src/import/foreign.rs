//! YAML of others: several documents to a file, anything in them, and each value with its line.
//!
//! The reader of our own files (`config::yaml`) refuses what this one passes over: here a tag or a merge key
//! is somebody else's business.

use std::collections::HashMap;

use serde_saphyr::granit_parser::{Event, Options, Parser};

use super::remark::At;
use super::{Source, Unreadable};

/// A value with its line.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub at: At,
    pub value: Value,
}

/// What it holds.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    List(Vec<Node>),
    Map(Vec<(At, String, Node)>),
}

impl Node {
    /// What stands under a key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|it| it.1 == key).map(|it| &it.2)
    }

    /// What stands under keys within each other.
    pub fn at(&self, keys: &[&str]) -> Option<&Node> {
        keys.iter().try_fold(self, |node, key| node.get(key))
    }

    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(it) => Some(it),
            _ => None,
        }
    }

    pub fn number(&self) -> Option<u64> {
        self.text()?.parse().ok()
    }

    /// The items of a list; none of anything else.
    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(it) => it,
            _ => &[],
        }
    }

    /// The lines of a map; none of anything else.
    pub fn entries(&self) -> &[(At, String, Node)] {
        match &self.value {
            Value::Map(it) => it,
            _ => &[],
        }
    }

    /// A text under a key.
    pub fn text_at(&self, keys: &[&str]) -> Option<&str> {
        self.at(keys)?.text()
    }
}

/// All documents of a file.
pub(super) fn documents(file: usize, source: &Source<'_>) -> Result<Vec<Node>, Unreadable> {
    let mut builder = Builder { file, ..Builder::default() };
    for event in Parser::new_from_str_with_options(source.text, Options::default()) {
        let (event, line) = match event {
            Ok((event, span)) => (event, span.start.line()),
            Err(error) => {
                let (line, why) = (error.marker().line(), format!("this is not YAML: {}", error.info()));
                return Err(Unreadable { file: source.name.into(), line, why });
            }
        };
        if let Err(why) = builder.take(event, line) {
            return Err(Unreadable { file: source.name.into(), line, why: why.into() });
        }
    }
    Ok(builder.documents)
}

#[derive(Default)]
struct Builder {
    file: usize,
    documents: Vec<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
}

struct Open {
    at: At,
    anchor: usize,
    items: Vec<Node>,
    entries: Option<Vec<(At, String, Node)>>,
    key: Option<(At, Option<String>)>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, line: usize) -> Result<(), &'static str> {
        let at = At { file: self.file, line };
        match event {
            Event::Scalar(text, _, anchor, _) => {
                self.finish(Node { at, value: Value::Text(text.into_owned()) }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => {
                self.enter(Open { at, anchor, items: Vec::new(), entries: None, key: None })
            }
            Event::MappingStart(_, anchor, _) => {
                self.enter(Open { at, anchor, items: Vec::new(), entries: Some(Vec::new()), key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else { return Ok(()) };
                let value = match open.entries {
                    Some(entries) => Value::Map(entries),
                    None => Value::List(open.items),
                };
                self.finish(Node { at: open.at, value }, open.anchor)
            }
            Event::Alias(id) => {
                let Some((node, size)) = self.anchors.get(&id).cloned() else {
                    return Err("an alias cannot stand inside what it repeats");
                };
                self.nodes += size;
                if self.nodes > NODES_MAX {
                    return Err("aliases repeat too much");
                }
                self.finish(node, 0)
            }
            _ => Ok(()),
        }
    }

    fn enter(&mut self, open: Open) -> Result<(), &'static str> {
        if self.open.len() >= DEPTH_MAX {
            return Err("nested too deep");
        }
        self.open.push(open);
        Ok(())
    }

    fn finish(&mut self, node: Node, anchor: usize) -> Result<(), &'static str> {
        if anchor != 0 {
            let size = size(&node);
            self.anchors.insert(anchor, (node.clone(), size));
        }
        let Some(open) = self.open.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        match (&mut open.entries, open.key.take()) {
            (None, _) => open.items.push(node),
            (Some(_), None) => open.key = Some((node.at, node.text().map(str::to_owned))),
            (Some(entries), Some((at, Some(key)))) => entries.push((at, key, node)),
            (Some(_), Some((_, None))) => {}
        }
        Ok(())
    }
}

fn size(node: &Node) -> usize {
    1 + match &node.value {
        Value::Text(_) => 0,
        Value::List(items) => items.iter().map(size).sum(),
        Value::Map(entries) => entries.iter().map(|it| size(&it.2)).sum(),
    }
}

/// Deeper than any object of Kubernetes that is read here.
const DEPTH_MAX: usize = 64;
/// Nodes that aliases may repeat, so that a few lines cannot become gigabytes.
const NODES_MAX: usize = 100_000;
