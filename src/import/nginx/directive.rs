//! The grammar: words, `;`, and blocks in braces.

use super::super::remark::At;
use super::super::{Source, Unreadable};

/// `name word word;` or `name word { … }`.
#[derive(Clone, Debug)]
pub(super) struct Directive {
    pub at: At,
    pub name: String,
    pub words: Vec<String>,
    pub children: Option<Vec<Directive>>,
}

impl Directive {
    /// As it stands there, without its block.
    pub fn shown(&self) -> String {
        std::iter::once(&self.name).chain(&self.words).map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    /// The only word.
    pub fn word(&self) -> Option<&str> {
        match self.words.as_slice() {
            [one] => Some(one),
            _ => None,
        }
    }
}

/// All directives of a file.
pub(super) fn parse(file: usize, source: &Source<'_>) -> Result<Vec<Directive>, Unreadable> {
    let mut open: Vec<(Directive, Vec<Directive>)> = Vec::new();
    let mut here: Vec<Directive> = Vec::new();
    let mut words: Vec<(usize, String)> = Vec::new();
    let mut scanner = Scanner { rest: source.text, line: 1 };
    let fail = |line: usize, why: &str| Unreadable { file: source.name.into(), line, why: why.into() };
    while let Some(token) = scanner.next().map_err(|why| fail(scanner.line, why))? {
        match token {
            Token::Word(line, word) => words.push((line, word)),
            Token::End(line) => {
                let made = directive(file, &mut words)
                    .ok_or_else(|| fail(line, "nothing stands before this `;`"))?;
                here.push(made);
            }
            Token::Open(line) => {
                let made = directive(file, &mut words)
                    .ok_or_else(|| fail(line, "nothing stands before this `{`"))?;
                if open.len() >= DEPTH_MAX {
                    return Err(fail(line, "blocks are nested too deep"));
                }
                open.push((made, std::mem::take(&mut here)));
            }
            Token::Close(line) => {
                if !words.is_empty() {
                    return Err(fail(line, "a `;` is missing before this `}`"));
                }
                let (mut block, outer) = open.pop().ok_or_else(|| fail(line, "this `}` closes nothing"))?;
                block.children = Some(std::mem::replace(&mut here, outer));
                here.push(block);
            }
        }
    }
    match (open.last(), words.first()) {
        (Some((block, _)), _) => Err(fail(block.at.line, "this block is not closed")),
        (None, Some((line, _))) => Err(fail(*line, "a `;` is missing")),
        (None, None) => Ok(here),
    }
}

fn directive(file: usize, words: &mut Vec<(usize, String)>) -> Option<Directive> {
    let mut words = words.drain(..);
    let (line, name) = words.next()?;
    Some(Directive { at: At { file, line }, name, words: words.map(|it| it.1).collect(), children: None })
}

/// Deeper than any real file; what goes beyond would cost stack.
const DEPTH_MAX: usize = 32;

enum Token {
    Word(usize, String),
    End(usize),
    Open(usize),
    Close(usize),
}

struct Scanner<'a> {
    rest: &'a str,
    line: usize,
}

impl Scanner<'_> {
    fn next(&mut self) -> Result<Option<Token>, &'static str> {
        while let Some(c) = self.rest.chars().next() {
            match c {
                _ if c.is_whitespace() => self.skip(c),
                '#' => {
                    let end = self.rest.find('\n').unwrap_or(self.rest.len());
                    self.rest = &self.rest[end..];
                }
                ';' | '{' | '}' => {
                    self.skip(c);
                    let line = self.line;
                    return Ok(Some(match c {
                        ';' => Token::End(line),
                        '{' => Token::Open(line),
                        _ => Token::Close(line),
                    }));
                }
                '"' | '\'' => return self.quoted(c).map(Some),
                _ => return Ok(Some(self.bare())),
            }
        }
        Ok(None)
    }

    fn skip(&mut self, c: char) {
        self.line += usize::from(c == '\n');
        self.rest = &self.rest[c.len_utf8()..];
    }

    fn quoted(&mut self, mark: char) -> Result<Token, &'static str> {
        let line = self.line;
        self.skip(mark);
        let mut word = String::new();
        while let Some(c) = self.rest.chars().next() {
            self.skip(c);
            match c {
                _ if c == mark => return Ok(Token::Word(line, word)),
                '\\' => match self.rest.chars().next() {
                    Some(next) if next == mark || next == '\\' => {
                        self.skip(next);
                        word.push(next);
                    }
                    _ => word.push(c),
                },
                _ => word.push(c),
            }
        }
        Err("a quote is not closed")
    }

    fn bare(&mut self) -> Token {
        let line = self.line;
        let mut word = String::new();
        let mut in_variable = false;
        while let Some(c) = self.rest.chars().next() {
            match c {
                // `${name}` is part of a word.
                '{' if word.ends_with('$') => in_variable = true,
                '}' if in_variable => in_variable = false,
                ';' | '{' | '}' => break,
                _ if c.is_whitespace() => break,
                '\\' => {
                    self.skip(c);
                    word.push(c);
                    if let Some(next) = self.rest.chars().next().filter(|it| !it.is_whitespace()) {
                        self.skip(next);
                        word.push(next);
                    }
                    continue;
                }
                _ => {}
            }
            self.skip(c);
            word.push(c);
        }
        Token::Word(line, word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        fn list(of: &[Directive]) -> String {
            let one = |it: &Directive| match &it.children {
                None => format!("{}@{}", it.shown(), it.at.line),
                Some(inner) => format!("{}@{} [{}]", it.shown(), it.at.line, list(inner)),
            };
            of.iter().map(one).collect::<Vec<_>>().join(" | ")
        }
        match parse(0, &Source { name: "f", text }) {
            Ok(it) => list(&it),
            Err(it) => it.to_string(),
        }
    }

    #[test]
    fn words_blocks_quotes_and_lines() {
        for (text, expected) in [
            ("a b  c;\nd;", "a b c@1 | d@2"),
            ("a { b; c { d; } }", "a@1 [b@1 | c@1 [d@1]]"),
            ("a \"b; {c}\" 'd\\'e';", "a b; {c} d'e@1"),
            ("# x { \na # y;\n b;", "a b@2"),
            ("a ${x}y z$;", "a ${x}y z$@1"),
            ("location ~ \\.php$ { x; }", "location ~ \\.php$@1 [x@1]"),
            ("a\n{\n\nb; }", "a@1 [b@4]"),
            ("", ""),
            (";", "f:1: nothing stands before this `;`"),
            ("a", "f:1: a `;` is missing"),
            ("a {\nb;", "f:1: this block is not closed"),
            ("}", "f:1: this `}` closes nothing"),
            ("a { b }", "f:1: a `;` is missing before this `}`"),
            ("a \"b;\n", "f:2: a quote is not closed"),
        ] {
            assert_eq!(shown(text), expected, "{text:?}");
        }
        assert!(shown(&"a {".repeat(1_000)).contains("too deep"));
    }
}
