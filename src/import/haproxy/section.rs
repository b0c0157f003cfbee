//! The grammar: sections with statements, a line each.

use super::super::remark::At;
use super::super::{Source, Unreadable};

/// `backend name` and what follows.
#[derive(Clone, Debug)]
pub(super) struct Section {
    pub at: At,
    pub kind: String,
    pub name: String,
    pub statements: Vec<Statement>,
}

/// A line.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub at: At,
    pub words: Vec<String>,
}

impl Statement {
    /// As it stands there.
    pub fn shown(&self) -> String {
        self.words.join(" ")
    }

    /// Whether it begins with these words.
    pub fn is(&self, words: &[&str]) -> bool {
        self.words.len() >= words.len() && self.words.iter().zip(words).all(|(a, b)| a == b)
    }
}

/// All sections of a file.
pub(super) fn parse(file: usize, source: &Source<'_>) -> Result<Vec<Section>, Unreadable> {
    let mut sections: Vec<Section> = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        let at = At { file, line: index + 1 };
        let fail = |why: &str| Unreadable { file: source.name.into(), line: at.line, why: why.into() };
        let words = words(line).map_err(fail)?;
        let Some(first) = words.first() else { continue };
        if KINDS.contains(&first.as_str()) {
            let name = words.get(1).cloned().unwrap_or_default();
            sections.push(Section { at, kind: first.clone(), name, statements: Vec::new() });
        } else if let Some(section) = sections.last_mut() {
            section.statements.push(Statement { at, words });
        } else {
            return Err(fail("this stands in no section"));
        }
    }
    Ok(sections)
}

const KINDS: [&str; 15] = [
    "global",
    "defaults",
    "frontend",
    "backend",
    "listen",
    "peers",
    "resolvers",
    "userlist",
    "mailers",
    "cache",
    "program",
    "http-errors",
    "ring",
    "log-forward",
    "crt-store",
];

/// The words of a line: quotes and backslashes as in a shell, and `#` begins a comment.
fn words(line: &str) -> Result<Vec<String>, &'static str> {
    let (mut words, mut word) = (Vec::new(), None::<String>);
    let mut chars = line.chars();
    let mut quote = None;
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, '#') => break,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (Some(mark), c) if mark == c => quote = None,
            (None | Some('"'), '\\') => match chars.next() {
                Some(next) => word.get_or_insert_default().push(next),
                None => return Err("a line cannot end with `\\`"),
            },
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed");
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_line() {
        for (line, expected) in [
            ("  a  b # c", "a|b"),
            ("a 'b c' \"d # e\" f\\ g", "a|b c|d # e|f g"),
            ("a '' b", "a||b"),
            ("a 'b\\c'", "a|b\\c"),
            ("", ""),
            ("# all of it", ""),
        ] {
            assert_eq!(words(line).unwrap().join("|"), expected, "{line}");
        }
        assert_eq!(words("a 'b"), Err("a quote is not closed"));
        let error = parse(0, &Source { name: "f", text: "\n server a\n" }).unwrap_err();
        assert_eq!(error.to_string(), "f:2: this stands in no section");
    }
}
