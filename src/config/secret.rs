//! Secrets: what the file refers to and never says. `env:NAME` is a variable of the environment, `file:PATH`
//! the content of a file that not everybody may read.

use std::fmt;
use std::sync::Arc;

use super::code::Code;
use super::fields;
use super::node::Node;
use super::problem::{Problems, Report};
use super::tls::Credentials;

/// A text that is never printed.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// The text, for the one who needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The secret that a node refers to. What is no reference is hidden wherever the file is shown: it is most
/// likely the secret itself.
pub(super) fn secret(
    node: &Node,
    credentials: &mut Credentials<'_>,
    problems: &mut Problems,
) -> Option<Secret> {
    let written = fields::text(node, problems)?;
    let found = match written.split_once(':') {
        Some(("env", name)) if is_variable(name) => credentials
            .variable(name)
            .ok_or_else(|| format!("the variable `{name}` is not in the environment")),
        Some(("file", path)) if !path.is_empty() => credentials.secret_text(node, path, problems),
        _ => {
            problems.hide(node.at);
            let report = Report::error(Code::Secret, node.at, "a secret does not stand in the file");
            problems.push(report.help("refer to it: env:NAME, or file:PATH"));
            return None;
        }
    };
    match found.and_then(|it| usable(&it).map(Secret::from).ok_or_else(|| UNUSABLE.to_owned())) {
        Ok(it) => Some(it),
        Err(message) => {
            problems.push(Report::error(Code::Secret, node.at, message));
            None
        }
    }
}

/// Whether a node refers to a secret.
pub(super) fn is_reference(text: &str) -> bool {
    text.starts_with("env:") || text.starts_with("file:")
}

/// One line of text; files end with a line break that nobody means.
fn usable(text: &str) -> Option<&str> {
    let text = text.trim_end_matches(['\n', '\r']);
    let fits = (1..=SECRET_BYTES_MAX).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_graphic());
    fits.then_some(text)
}

fn is_variable(name: &str) -> bool {
    let starts = name.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_');
    starts && name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_')
}

/// Longest secret. Tokens and URLs are far shorter; a longer one is the wrong file.
const SECRET_BYTES_MAX: usize = 4096;

const UNUSABLE: &str =
    "a secret is one line of letters, digits and marks, without spaces, and at most 4096 bytes";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_and_no_more() {
        for (text, expected) in [
            ("abc\n", Some("abc")),
            ("abc\r\n", Some("abc")),
            ("", None),
            ("\n", None),
            ("a b", None),
            ("a\nb", None),
            ("ä", None),
        ] {
            assert_eq!(usable(text), expected, "{text:?}");
        }
        assert_eq!(usable(&"x".repeat(4097)), None);
    }

    #[test]
    fn never_printed() {
        assert_eq!(format!("{:?}", Secret::from("hush")), "Secret(…)");
    }
}
