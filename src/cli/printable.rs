//! Text of others, made fit to be seen.
//!
//! What a server says quotes whoever it has heard: a person's reason, the last words of a check, an answer of a
//! backend; and whoever pretends to be a server says what they like. A terminal obeys some characters instead of
//! showing them: it would move the cursor, hide a line, or draw one from right to left. Each of these is shown as
//! its number, `\x1b` or `\u{202e}`, so that a line means what it looks like.
//!
//! Answers are made so when they are read ([`answer`]), unless they are printed as JSON, which stays what the server
//! has sent. What goes to standard error is made so by the [`Terminal`](super::terminal::Terminal), whoever it is from.

use std::borrow::Cow;

use serde_json::Value;

use crate::config::is_invisible;

/// One line: what would begin another one is shown as well.
pub fn line(text: &str) -> Cow<'_, str> {
    shown(text, |it| !is_obeyed(it))
}

/// Lines: their ends are kept.
pub fn lines(text: &str) -> Cow<'_, str> {
    shown(text, |it| it == '\n' || !is_obeyed(it))
}

/// An answer in which every text is one line, but for those that have several.
pub fn answer(it: &mut Value) {
    match it {
        Value::String(text) => make(text, line),
        Value::Array(all) => all.iter_mut().for_each(answer),
        Value::Object(members) => {
            let strange = |it: &String| it.chars().any(is_obeyed);
            if members.keys().any(strange) {
                let all = std::mem::take(members).into_iter();
                *members = all.map(|(name, it)| (line(&name).into_owned(), it)).collect();
            }
            for (name, it) in members {
                match it {
                    Value::String(text) if LINES.contains(&name.as_str()) => make(text, lines),
                    it => answer(it),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn make(text: &mut String, how: fn(&str) -> Cow<'_, str>) {
    if let Cow::Owned(changed) = how(text) {
        *text = changed;
    }
}

fn shown(text: &str, is_kept: impl Fn(char) -> bool) -> Cow<'_, str> {
    let Some(at) = text.find(|it| !is_kept(it)) else { return Cow::Borrowed(text) };
    let (good, rest) = text.split_at(at);
    let mut shown = good.to_owned();
    for it in rest.chars() {
        match it {
            it if is_kept(it) => shown.push(it),
            '\n' | '\r' | '\t' => shown.extend(it.escape_default()),
            it if u32::from(it) <= 0xff => shown.push_str(&format!("\\x{:02x}", u32::from(it))),
            it => shown.extend(it.escape_unicode()),
        }
    }
    Cow::Owned(shown)
}

/// Whether a terminal may do something else than show it: a control character, one that ends a line or changes the
/// direction of what follows.
fn is_obeyed(it: char) -> bool {
    is_invisible(it) || matches!(it, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}')
}

/// Members of answers that have lines of their own: what a check has printed, a report, a file.
const LINES: [&str; 3] = ["text", "report", "yaml"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        for (text, expected) in [
            ("v2 is stable · 5% → 10% 🎉", "v2 is stable · 5% → 10% 🎉"),
            ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
            ("ok\rno\n\tand\0", r"ok\rno\n\tand\x00"),
            ("\u{9b}31m \u{7f}", r"\x9b31m \x7f"),
            ("a\u{202e}b\u{2066}c\u{200f}d\u{2028}e", r"a\u{202e}b\u{2066}c\u{200f}d\u{2028}e"),
            (r"C:\x1b", r"C:\x1b"),
        ] {
            assert_eq!(line(text), expected, "{text:?}");
        }
        assert_eq!(lines("a\n\x1bb\r\n"), "a\n\\x1bb\\r\n");
        assert!(matches!(line("nothing"), Cow::Borrowed(_)));
    }

    #[test]
    fn every_text_of_an_answer_at_any_depth() {
        let mut it = serde_json::json!({
            "why": "a\nb\u{1b}",
            "text": "a\nb\u{1b}",
            "n": [1, {"yaml\u{1b}": ["\u{9b}"], "yaml": "a:\n  b: \u{202e}\n"}],
        });
        answer(&mut it);
        let expected = serde_json::json!({
            "why": r"a\nb\x1b",
            "text": "a\nb\\x1b",
            "n": [1, {r"yaml\x1b": [r"\x9b"], "yaml": "a:\n  b: \\u{202e}\n"}],
        });
        assert_eq!(it, expected);
    }
}
