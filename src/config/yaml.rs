//! YAML 1.2 to a tree with places: the only module that knows the YAML library.
//!
//! It works on the parser's events rather than through serde, because serde stops at the first value of
//! a wrong type and `check` promises all problems in one pass. Strictness is ours: a duplicate key, a
//! tag, a merge key or a second document is a problem; anchors and aliases are allowed within a budget.
//! JSON is a subset of YAML and needs nothing of its own.

use std::collections::HashMap;

use serde_saphyr::granit_parser::{ErrorKind, Event, Options, Parser, ScalarStyle, ScanError, Span, Tag};

use super::code::Code;
use super::node::{Entry, Node, Value, Word};
use super::problem::{Problems, Report};
use super::source::At;

/// Largest file in bytes. A configuration of ten thousand routes has about one; more is a mistake.
pub(super) const FILE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Deepest nesting. The deepest legal value stands seven levels deep.
const DEPTH_MAX: usize = 32;

/// Nodes that aliases may repeat in one file, so that a few lines cannot become gigabytes ("billion
/// laughs").
const ALIAS_NODES_MAX: usize = 100_000;

/// Parses the source with index `file`. `None` when there is no tree: the file is empty, or so broken
/// that nothing in it can be trusted (then a problem says so).
pub(super) fn parse(file: usize, problems: &mut Problems) -> Option<Node> {
    let text = problems.source_text(file);
    let mut options = Options::default();
    options.disallow_directives = true;
    options.emit_unresolved_aliases = true;
    let mut builder = Builder { file, open: Vec::new(), anchors: HashMap::new(), alias_nodes: 0, root: None };
    for event in Parser::new_from_str_with_options(&text, options) {
        let step = match event {
            Ok((event, span)) => builder.take(event, builder.at(span), problems),
            Err(error) => stop(syntax(&error, file, &text), problems),
        };
        if step.is_err() {
            // What follows the first document does not make that one worse.
            break;
        }
    }
    builder.root
}

/// A list or map whose end has not been seen.
struct Open {
    at: At,
    anchor: usize,
    items: Vec<Node>,
    map: Option<OpenMap>,
}

/// The part of a map that has been seen.
#[derive(Default)]
struct OpenMap {
    entries: Vec<Entry>,
    seen: HashMap<String, At>,
    /// The key whose value is awaited.
    pending: Option<Pending>,
}

enum Pending {
    Key(Word),
    /// A key that cannot be one; its value is read and forgotten.
    Unusable,
}

struct Builder {
    file: usize,
    open: Vec<Open>,
    /// Anchored nodes with their sizes.
    anchors: HashMap<usize, (Node, usize)>,
    alias_nodes: usize,
    root: Option<Node>,
}

/// The problem that ends the parse has been reported.
struct Stop;

type Step = Result<(), Stop>;

fn stop(report: Report, problems: &mut Problems) -> Step {
    problems.push(report);
    Err(Stop)
}

impl Builder {
    fn at(&self, span: Span) -> At {
        let range = span.byte_range().unwrap_or(0..0);
        At { file: self.file, start: range.start, end: range.end }
    }

    /// Takes one event. An `Err` ends the parse.
    fn take(&mut self, event: Event<'_>, at: At, problems: &mut Problems) -> Step {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                refuse_tag(tag.as_deref(), at, problems);
                let plain = style == ScalarStyle::Plain;
                self.finish(
                    Node { at, value: Value::Scalar { text: text.into_owned(), plain } },
                    anchor,
                    problems,
                )
            }
            Event::SequenceStart(_, anchor, tag) => {
                refuse_tag(tag.as_deref(), at, problems);
                self.enter(Open { at, anchor, items: Vec::new(), map: None }, problems)
            }
            Event::MappingStart(_, anchor, tag) => {
                refuse_tag(tag.as_deref(), at, problems);
                self.enter(Open { at, anchor, items: Vec::new(), map: Some(OpenMap::default()) }, problems)
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(open) => self.close(open, at, problems),
                None => Ok(()),
            },
            Event::Alias(id) => self.alias(id, at, problems),
            Event::UnresolvedAlias(name) => {
                // Most often a text without its quotes: go on with that text.
                let text = format!("*{name}");
                problems.push(
                    Report::error(
                        Code::Syntax,
                        at,
                        format!("`{}` repeats something that has no anchor", shown(&text)),
                    )
                    .help(format!("a text that begins with `*` needs quotes: \"{}\"", shown(&text))),
                );
                self.finish(Node { at, value: Value::Scalar { text, plain: false } }, 0, problems)
            }
            Event::DocumentStart(..) if self.root.is_some() => {
                let report = Report::error(Code::YamlFeature, at, "a file holds one document")
                    .label("a second one begins here")
                    .help("put it into a file of its own and name that under `include`");
                stop(report, problems)
            }
            _ => Ok(()),
        }
    }

    fn enter(&mut self, open: Open, problems: &mut Problems) -> Step {
        if self.open.len() >= DEPTH_MAX {
            return stop(too_deep(open.at), problems);
        }
        self.open.push(open);
        Ok(())
    }

    fn close(&mut self, open: Open, end: At, problems: &mut Problems) -> Step {
        let at = At { end: end.end.max(open.at.end), ..open.at };
        let value = match open.map {
            Some(map) => Value::Map(map.entries),
            None => Value::List(open.items),
        };
        self.finish(Node { at, value }, open.anchor, problems)
    }

    fn alias(&mut self, id: usize, at: At, problems: &mut Problems) -> Step {
        let Some((node, size)) = self.anchors.get(&id) else {
            let report = Report::error(Code::Syntax, at, "an alias cannot stand inside what it repeats");
            return stop(report, problems);
        };
        self.alias_nodes += size;
        if self.alias_nodes > ALIAS_NODES_MAX {
            let message = format!("aliases repeat more than {ALIAS_NODES_MAX} values");
            return stop(Report::error(Code::TooLarge, at, message), problems);
        }
        let node = node.clone();
        self.finish(node, 0, problems)
    }

    /// Puts a complete node where it belongs.
    fn finish(&mut self, node: Node, anchor: usize, problems: &mut Problems) -> Step {
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), size(&node)));
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        let Some(map) = &mut open.map else {
            open.items.push(node);
            return Ok(());
        };
        match map.pending.take() {
            None => map.pending = Some(key(node, problems)),
            Some(Pending::Unusable) => {}
            Some(Pending::Key(key)) => map.insert(key, node, problems),
        }
        Ok(())
    }
}

fn key(node: Node, problems: &mut Problems) -> Pending {
    match node.value {
        Value::Scalar { text, plain } if text == "<<" && plain => {
            problems.push(
                Report::error(Code::YamlFeature, node.at, "merge keys (`<<`) are not part of YAML 1.2")
                    .help("repeat the keys, use an alias for the whole value, or use `defaults`"),
            );
            Pending::Unusable
        }
        Value::Scalar { text, .. } => Pending::Key(Word { at: node.at, text }),
        Value::List(_) | Value::Map(_) => {
            problems.push(Report::error(Code::Kind, node.at, "a key is a text, not a list or a map"));
            Pending::Unusable
        }
    }
}

impl OpenMap {
    fn insert(&mut self, key: Word, value: Node, problems: &mut Problems) {
        if let Some(first) = self.seen.get(&key.text) {
            problems.push(
                Report::error(Code::DuplicateKey, key.at, format!("`{}` is written twice", shown(&key.text)))
                    .label("again here")
                    .related(*first, "first written here")
                    .help("keep one of them"),
            );
            return;
        }
        self.seen.insert(key.text.clone(), key.at);
        self.entries.push(Entry { key, value });
    }
}

fn refuse_tag(tag: Option<&Tag>, at: At, problems: &mut Problems) {
    if tag.is_some() {
        problems.push(
            Report::error(Code::YamlFeature, at, "tags (`!name`) are not used here")
                .help("leave the tag out; quotes make a text of anything"),
        );
    }
}

fn size(node: &Node) -> usize {
    1 + match &node.value {
        Value::Scalar { .. } => 0,
        Value::List(items) => items.iter().map(size).sum(),
        Value::Map(entries) => entries.iter().map(|it| 1 + size(&it.value)).sum(),
    }
}

fn syntax(error: &ScanError, file: usize, text: &str) -> Report {
    let start = error.marker().byte_offset().unwrap_or(0).min(text.len());
    let at = At { file, start, end: start + 1 };
    // The parser's own bound, met before ours when brackets follow each other without a pause.
    if *error.kind() == ErrorKind::RecursionLimitExceeded {
        return too_deep(at);
    }
    let report = Report::error(Code::Syntax, at, format!("this is not YAML: {}", error.info()));
    let line = text.as_bytes()[..start].iter().rposition(|it| *it == b'\n').map_or(0, |it| it + 1);
    let line = text.get(line..).and_then(|it| it.lines().next()).unwrap_or_default();
    let lead = &line[..line.len() - line.trim_start().len()];
    if lead.contains('\t') { report.help("indent with spaces; YAML does not take tabs") } else { report }
}

fn too_deep(at: At) -> Report {
    Report::error(Code::TooLarge, at, format!("nested more than {DEPTH_MAX} levels deep"))
}

/// A text from a file, short enough and harmless enough for a message.
pub(super) fn shown(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars().take(SHOWN_CHARS_MAX) {
        if is_invisible(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// Characters that a message quotes; the snippet below it shows the rest.
const SHOWN_CHARS_MAX: usize = 60;

/// Control characters, and those that change the direction of what follows: with them a line means
/// something else than it looks like ("Trojan source", CVE-2021-42574).
pub fn is_invisible(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
