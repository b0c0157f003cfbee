//! What an answer means for a notification.

use std::time::Duration;

use super::call::Reply;

/// How an attempt ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    /// It is there.
    Delivered,
    /// Not this time.
    Again {
        /// Why.
        why: String,
        /// How long the other side wants to be left alone.
        after: Option<Duration>,
    },
    /// It would not be taken the next time either.
    Never(String),
    /// The target wants to hear of nothing any more.
    Gone(String),
}

/// What an answer means, or why there is none.
pub(super) fn judged(answer: &Result<Reply, String>) -> Outcome {
    let reply = match answer {
        Ok(it) => it,
        Err(why) => return Outcome::Again { why: harmless(why), after: None },
    };
    let why = reply.described();
    match reply.status {
        200..300 => Outcome::Delivered,
        410 => Outcome::Gone(why),
        408 | 429 | 500.. => Outcome::Again { why, after: reply.after },
        // Some say so that one has called too often.
        403 if reply.after.is_some() || reply.exhausted => Outcome::Again { why, after: reply.after },
        _ => Outcome::Never(why),
    }
}

/// One line of a sensible length. An error can quote what the other side has sent, a name in its certificate for
/// one, and is shown on terminals.
fn harmless(why: &str) -> String {
    let shown = |it: char| match it {
        it if it.is_control() => ' ',
        // These turn the text around, or hide in it.
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' => ' ',
        it => it,
    };
    let line: String = why.chars().take(WHY_CHARS_MAX).map(shown).collect();
    if why.chars().nth(WHY_CHARS_MAX).is_some() { format!("{line}…") } else { line }
}

/// Whoever needs more of it looks at the target's own log.
const WHY_CHARS_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_sent_is_harmless() {
        for (why, expected) in [
            ("no answer within 5s", "no answer within 5s".to_owned()),
            ("not valid for \u{1b}]0;x\u{7}\r\nb\u{202e}a", "not valid for  ]0;x   b a".to_owned()),
            ("\u{9b}31m\u{200b}", " 31m ".to_owned()),
            (&"ä".repeat(201), format!("{}…", "ä".repeat(200))),
        ] {
            assert_eq!(judged(&Err(why.to_owned())), Outcome::Again { why: expected, after: None });
        }
    }

    #[test]
    fn statuses() {
        let reply = |status, after| Reply { status, after, exhausted: false, body: Vec::new() };
        let seconds = Some(Duration::from_secs(7));
        for (status, after, expected) in [
            (200, None, "delivered"),
            (204, None, "delivered"),
            (301, None, "never"),
            (307, seconds, "never"),
            (400, None, "never"),
            (401, None, "never"),
            (403, None, "never"),
            (403, seconds, "again 7"),
            (404, seconds, "never"),
            (408, None, "again"),
            (410, None, "gone"),
            (429, seconds, "again 7"),
            (500, None, "again"),
            (503, seconds, "again 7"),
            (599, None, "again"),
        ] {
            let said = match judged(&Ok(reply(status, after))) {
                Outcome::Delivered => "delivered".into(),
                Outcome::Again { after: None, .. } => "again".into(),
                Outcome::Again { after: Some(it), .. } => format!("again {}", it.as_secs()),
                Outcome::Never(_) => "never".into(),
                Outcome::Gone(_) => "gone".to_owned(),
            };
            assert_eq!(said, expected, "{status}");
        }
        let exhausted = Reply { exhausted: true, ..reply(403, None) };
        assert!(matches!(judged(&Ok(exhausted)), Outcome::Again { .. }));
        assert!(matches!(judged(&Err("no answer".into())), Outcome::Again { .. }));
    }
}
