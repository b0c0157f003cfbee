//! The file as it was written, all its parts in one: what `export` prints and what a comparison shows.
//!
//! Values stay as their author spelled them, so that a diff against the file is small; comments are gone.
//! Paths in included files are rewritten as the main file would name them. Printing and reading it again
//! gives the same configuration (a test holds it for every example).

use std::path::Path;

use super::node::{Node, Value};
use super::schema::documented_defaults;
use super::secret::is_reference;
use super::source::At;
use super::yaml::is_invisible;

/// A value of the file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Written {
    /// A text, and whether it was written without quotes.
    Text {
        /// What it says.
        text: String,
        /// Without quotes.
        plain: bool,
    },
    /// `[a, b]`
    List(Vec<Written>),
    /// `{a: b}`
    Map(Vec<Line>),
}

/// A line of a map.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Line {
    /// Comments above it.
    pub notes: Vec<String>,
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: Written,
}

/// What happened to a service since its file was loaded.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Since {
    /// The service.
    pub service: String,
    /// What serves, if that is not what the file wants.
    pub live: Option<String>,
    /// Versions that the file does not name, and what it would say of each.
    pub versions: Vec<(String, String)>,
    /// One sentence each.
    pub notes: Vec<String>,
}

impl Default for Written {
    fn default() -> Self {
        Self::Map(Vec::new())
    }
}

impl Line {
    pub(super) fn new(key: impl Into<String>, value: Written) -> Self {
        Self { notes: Vec::new(), key: key.into(), value }
    }
}

impl Written {
    /// A text without quotes.
    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self::Text { text: text.into(), plain: true }
    }

    /// Takes a tree over; `paths` are those of scalars that have to be said in another way.
    pub(super) fn of(node: &Node, paths: &dyn Fn(At) -> Option<String>) -> Self {
        match &node.value {
            Value::Scalar { text, plain } => match paths(node.at) {
                Some(text) => Self::Text { text, plain: false },
                None => Self::Text { text: text.clone(), plain: *plain },
            },
            Value::List(items) => Self::List(items.iter().map(|it| Self::of(it, paths)).collect()),
            Value::Map(entries) => {
                let there = entries.iter().filter(|it| !it.value.is_null());
                Self::Map(there.map(|it| Line::new(&it.key.text, Self::of(&it.value, paths))).collect())
            }
        }
    }

    /// The value of a key, if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.lines().iter().find(|it| it.key == key).map(|it| &it.value)
    }

    /// The lines of a map; none if it is something else.
    pub fn lines(&self) -> &[Line] {
        match self {
            Self::Map(lines) => lines,
            Self::Text { .. } | Self::List(_) => &[],
        }
    }

    /// Without what could be a secret: values of headers that carry credentials.
    pub fn redacted(&self) -> Self {
        match self {
            Self::Text { .. } => self.clone(),
            Self::List(items) => Self::List(items.iter().map(Self::redacted).collect()),
            Self::Map(lines) => {
                let line = |it: &Line| match &it.value {
                    // A URL may carry a token behind its path.
                    Self::Text { text, plain } if it.key == "webhook" && text.contains('?') => {
                        let path = text.split('?').next().unwrap_or_default();
                        let text = format!("{path}?REDACTED");
                        Line { value: Self::Text { text, plain: *plain }, ..it.clone() }
                    }
                    // Where a secret is, is none.
                    Self::Text { text, .. } if is_secret(&it.key) && !is_reference(text) => {
                        Line { value: Self::Text { text: "REDACTED".into(), plain: true }, ..it.clone() }
                    }
                    value => Line { value: value.redacted(), ..it.clone() },
                };
                Self::Map(lines.iter().map(line).collect())
            }
        }
    }

    /// With the defaults of whatever was left out, and with what people did since.
    pub fn effective(&self, since: &[Since]) -> Self {
        let mut whole = self.clone();
        documented_defaults(&mut whole);
        let Self::Map(lines) = &mut whole else { return whole };
        let services = lines.iter_mut().find(|it| it.key == "services");
        let Some(Self::Map(services)) = services.map(|it| &mut it.value) else { return whole };
        for service in services {
            let Some(since) = since.iter().find(|it| it.service == service.key) else { continue };
            service.notes.extend(since.notes.iter().cloned());
            let Self::Map(keys) = &mut service.value else { continue };
            if let Some(Self::Map(versions)) =
                keys.iter_mut().find(|it| it.key == "versions").map(|it| &mut it.value)
            {
                let added = since.versions.iter().filter_map(|(name, text)| {
                    let mut line = Line::new(name, super::addition::written(text)?);
                    line.notes.push("added at run time; the file does not name it".into());
                    Some(line)
                });
                versions.extend(added);
            }
            if let (Some(line), Some(live)) = (keys.iter_mut().find(|it| it.key == "live"), &since.live) {
                if let Self::Text { text, .. } = &line.value {
                    line.notes.push(format!("the file says {text}"));
                }
                // A version may have this name; bare it would be nothing at all.
                let plain = !live.eq_ignore_ascii_case("null");
                line.value = Self::Text { text: live.clone(), plain };
            }
        }
        whole
    }

    /// As YAML that reads as the same.
    pub fn yaml(&self) -> String {
        let mut out = String::new();
        match self {
            Self::Map(lines) if !lines.is_empty() => map(lines, 0, &mut out),
            other => out.push_str(&format!("{}\n", flow(other))),
        }
        out
    }

    /// In one line: for a message.
    pub fn one_line(&self) -> String {
        flow(self)
    }
}

/// A path of an included file as the main file would name it.
pub(super) fn as_main_names_it(path: &Path, main: &Path) -> String {
    let directory = main.parent().unwrap_or(Path::new(""));
    path.strip_prefix(directory).unwrap_or(path).display().to_string()
}

fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let whole = ["authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key"];
    whole.contains(&key.as_str()) || ["token", "secret", "password"].iter().any(|it| key.contains(it))
}

fn map(lines: &[Line], indent: usize, out: &mut String) {
    let space = " ".repeat(indent);
    for line in lines {
        for note in line.notes.iter().flat_map(|it| it.lines()) {
            out.push_str(&format!("{space}# {note}\n"));
        }
        out.push_str(&format!("{space}{}:", key(&line.key)));
        match &line.value {
            Written::Map(inner) if !inner.is_empty() => {
                out.push('\n');
                map(inner, indent + 2, out);
            }
            Written::List(items) if items.iter().any(|it| !matches!(it, Written::Text { .. })) => {
                out.push('\n');
                items.iter().for_each(|it| item(it, indent, out));
            }
            value => out.push_str(&format!(" {}\n", flow(value))),
        }
    }
}

fn item(value: &Written, indent: usize, out: &mut String) {
    match value {
        Written::Map(lines) if lines.len() > 1 => {
            let mut inner = String::new();
            map(lines, indent + 2, &mut inner);
            // The first line stands behind the dash; a note above it would not.
            out.push_str(&format!("{}- {}", " ".repeat(indent), &inner[indent + 2..]));
        }
        value => out.push_str(&format!("{}- {}\n", " ".repeat(indent), flow(value))),
    }
}

fn flow(value: &Written) -> String {
    match value {
        Written::Text { text, plain } => scalar(text, *plain),
        Written::List(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Written::Map(lines) => {
            let line = |it: &Line| format!("{}: {}", key(&it.key), flow(&it.value));
            format!("{{{}}}", lines.iter().map(line).collect::<Vec<_>>().join(", "))
        }
    }
}

fn key(text: &str) -> String {
    let bare = text.bytes().all(|it| it.is_ascii_alphanumeric() || b"_.-".contains(&it));
    let starts = text.starts_with(|it: char| it.is_ascii_alphabetic());
    if bare && starts { text.to_owned() } else { quoted(text) }
}

/// Numbers, booleans and words stay bare where they were; whatever could be read in another way is quoted.
fn scalar(text: &str, plain: bool) -> String {
    let safe = |it: char| it.is_ascii_alphanumeric() || " _./+%@=;()-".contains(it);
    let starts = text.starts_with(|it: char| it.is_ascii_alphanumeric() || "/.+".contains(it));
    let colons = text.split(':').skip(1).all(|it| it.starts_with(|it: char| !it.is_whitespace()));
    let bare = text.chars().all(|it| safe(it) || it == ':') && starts && colons && !text.ends_with(' ');
    if plain && bare { text.to_owned() } else { quoted(text) }
}

/// As JSON, which YAML reads the same; and nothing that hides in the line.
fn quoted(text: &str) -> String {
    let mut out = String::new();
    for it in serde_json::Value::from(text).to_string().chars() {
        match it {
            it if is_invisible(it) => out.push_str(&format!("\\u{:04x}", u32::from(it))),
            it => out.push(it),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::{MemoryFiles, load};
    use super::*;

    fn written(text: &str) -> Written {
        let loaded = load(Path::new("t.yaml"), &MemoryFiles::new().with("t.yaml", text));
        let config = loaded.config.unwrap_or_else(|| panic!("{}", loaded.problems.render_human(false)));
        Written::clone(&config.written)
    }

    const FILE: &str = "listen: 8080\nservices:\n  shop:\n    live: \"1\"\n    versions: {\"1\": http://h:1, v2: [http://h:2]}\n    sticky: {by: header, name: x}\nroutes:\n- {match: {path: {regex: \"^/a: #\"}}, to: shop, set_headers: {request: {authorization: Bearer x}}}\n";

    #[test]
    fn printed_as_people_write_it() {
        let text = written(FILE).redacted().yaml();
        let expected = "listen: 8080\nservices:\n  shop:\n    live: \"1\"\n    versions:\n      \"1\": http://h:1\n      v2: [http://h:2]\n    sticky:\n      by: header\n      name: x\nroutes:\n- match:\n    path:\n      regex: \"^/a: #\"\n  to: shop\n  set_headers:\n    request:\n      authorization: REDACTED\n";
        assert_eq!(text, expected);
        assert_eq!(written(&text).yaml(), text);
    }

    #[test]
    fn effective_has_defaults_and_what_people_did() {
        let since = Since {
            service: "shop".into(),
            live: Some("v3".into()),
            versions: vec![("v3".into(), "{endpoints: [http://h:3], health: {path: /up}}".into())],
            notes: vec!["rolled back by ann".into()],
        };
        let text = written(FILE).effective(&[since]).yaml();
        for part in [
            "  # rolled back by ann\n  shop:\n",
            "    # the file says 1\n    live: v3\n",
            "      # added at run time; the file does not name it\n      v3:\n        endpoints: [http://h:3]\n        health:\n          path: /up\n",
            "keep_alive: 55s",
            "balance: round_robin",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        written(&text);
    }

    #[test]
    fn includes_become_one_file() {
        let files = MemoryFiles::new()
            .with("/etc/tg/t.yaml", "listen: 8080\ninclude: conf.d/*.yaml\naccess_log: /var/log/x\n")
            .with("/etc/tg/conf.d/a.yaml", "services: {a: {live: v, versions: {v: http://h:1}}}");
        let loaded = load(Path::new("/etc/tg/t.yaml"), &files);
        let text = loaded.config.unwrap().written.yaml();
        assert_eq!(
            text,
            "listen: 8080\naccess_log: /var/log/x\nservices:\n  a:\n    live: v\n    versions:\n      v: http://h:1\n"
        );
        assert_eq!(
            as_main_names_it(Path::new("/etc/tg/conf.d/a.pem"), Path::new("/etc/tg/t.yaml")),
            "conf.d/a.pem"
        );
    }
}
