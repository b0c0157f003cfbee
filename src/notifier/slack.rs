//! A message for people, as Slack's incoming webhooks take it, and whoever is compatible with them.
//!
//! What a version, a check or a file has said is quoted in it, so it is made harmless: it calls nobody, leads
//! nowhere, and looks like nothing but text.

use serde_json::json;

use crate::model::TargetName;
use crate::release::{News, What};

/// The body.
pub(super) fn body(news: &News, link: Option<&str>) -> Vec<u8> {
    let moved = match news.from == news.to {
        true => news.to.to_string(),
        false => format!("{} → {}", news.from, news.to),
    };
    let what = news.what.as_str().replace('_', " ");
    // Names have an alphabet that means nothing to anybody.
    let head = format!("{} *{}* {} {what}  {moved}", mark(news.what), news.service, news.version);
    let plain = format!("{} {} {what}, {moved}: {}", news.service, news.version, harmless(&news.text));
    let mut foot = format!("by {} · generation {}", harmless(&news.by.name), news.generation);
    if let Some(link) = link {
        foot.push_str(&format!(" · <{}|open>", in_link(link)));
    }
    let text = |text: String| json!({"type": "mrkdwn", "text": text, "verbatim": true});
    let said = json!({"type": "plain_text", "text": shortened(&unmarked(&news.text)), "emoji": false});
    let body = json!({
        "text": plain,
        "blocks": [
            {"type": "section", "text": text(head)},
            {"type": "section", "text": said},
            {"type": "context", "elements": [text(foot)]},
        ],
        "unfurl_links": false,
        "unfurl_media": false,
    });
    body.to_string().into_bytes()
}

/// The body of a test.
pub(super) fn test(target: &TargetName) -> Vec<u8> {
    json!({"text": format!("A test of {target}: nothing has happened.")}).to_string().into_bytes()
}

fn mark(what: What) -> &'static str {
    match what {
        What::RolledBack | What::Barred | What::Breached => "🔴",
        What::Completed | What::Promoted => "🟢",
        What::Held | What::Asked | What::Paused | What::Unready | What::Frozen => "🟡",
        What::Adopted
        | What::Redefined
        | What::Began
        | What::Advanced
        | What::Superseded
        | What::Settled
        | What::Resumed
        | What::Released
        | What::Retried
        | What::Restarted
        | What::Verifying
        | What::Checking
        | What::Checked
        | What::Approved
        | What::Overridden
        | What::Weighted
        | What::Ready
        | What::Expired
        | What::Unfrozen
        | What::Deployed
        | What::Drifted
        | What::InSync => "⚪",
    }
}

/// A text that is only read, in the middle of others that mean more.
fn harmless(text: &str) -> String {
    // The two that Slack itself gives a meaning to, and the third that ends it.
    let escaped = unmarked(&shortened(text)).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    // Others who take the same messages know marks of their own for bold text and for links.
    escaped.replace(['*', '`'], "'")
}

/// One line that calls nobody and leads nowhere: a sign of no width stands where a mention or an address would
/// begin.
fn unmarked(text: &str) -> String {
    let line: String = text.chars().map(|it| if hides(it) { ' ' } else { it }).collect();
    line.replace('@', "@\u{200b}")
        .replace("://", ":\u{200b}//")
        .replace("](", "]\u{200b}(")
        .replace('#', "#\u{200b}")
}

/// Control characters, and those that turn what follows around.
fn hides(it: char) -> bool {
    it.is_control()
        || matches!(it, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}'..='\u{200f}')
}

/// A link comes from the file; what would end it early is taken out of it.
fn in_link(link: &str) -> String {
    link.chars().filter(|it| !matches!(it, '<' | '>' | '|') && !it.is_whitespace()).collect()
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(TEXT_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None if text.is_empty() => "–".to_owned(),
        None => text.to_owned(),
    }
}

/// A section takes three thousand.
const TEXT_CHARS_MAX: usize = 1500;

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::notifier::news::tests::rollback;

    fn message(text: &str, link: Option<&str>) -> Value {
        let news = News { text: text.into(), ..rollback(7) };
        serde_json::from_slice(&body(&news, link)).unwrap()
    }

    #[test]
    fn shape() {
        let it = message("canary failed 8 of 160 (5%)", Some("https://x/shop?a=b"));
        assert_eq!(it["text"], "shop v42 rolled back, 5% → 0%: canary failed 8 of 160 (5%)");
        let blocks = it["blocks"].as_array().unwrap();
        assert_eq!(blocks.len(), 3);
        assert_eq!(blocks[0]["text"]["text"], "🔴 *shop* v42 rolled back  5% → 0%");
        assert_eq!(blocks[1]["text"]["type"], "plain_text");
        assert_eq!(blocks[1]["text"]["text"], "canary failed 8 of 160 (5%)");
        assert_eq!(
            blocks[2]["elements"][0]["text"],
            "by tidegate · generation 3 · <https://x/shop?a=b|open>"
        );
    }

    #[test]
    fn what_others_said_calls_nobody_and_leads_nowhere() {
        for said in [
            "<!channel> look",
            "<!here|here>",
            "<@U012AB3CD>",
            "<https://evil.example|your bank>",
            "@channel @all @here",
            "[your bank](https://evil.example)",
            "see https://evil.example",
            "&lt;!channel&gt;",
            "#general",
            "*bold* `code`",
            "two\nlines",
            "\u{202e}txet",
            "\u{1b}[31m",
        ] {
            let it = message(said, None);
            let text = it["text"].as_str().unwrap();
            let reason = it["blocks"][1]["text"]["text"].as_str().unwrap();
            assert!(!text.contains(['<', '>', '*', '`']), "{text}");
            for part in [text, reason] {
                assert!(
                    !part.contains("://") && !part.contains("](") && !part.contains("\u{202e}"),
                    "{part}"
                );
                assert!(!part.chars().any(char::is_control), "{part:?}");
                assert!(
                    part.match_indices(['@', '#'])
                        .all(|(at, it)| part[at + it.len()..].starts_with('\u{200b}'))
                );
            }
            assert!(!text.contains("&lt;!channel&gt;") || said == "<!channel> look", "{text}");
        }
        assert!(message("a & b < c", None)["text"].as_str().unwrap().ends_with("a &amp; b &lt; c"));
        let long = message(&"ä".repeat(5000), None);
        assert!(long["blocks"][1]["text"]["text"].as_str().unwrap().chars().count() <= TEXT_CHARS_MAX + 1);
        let forged = message("x", Some("https://x/|y>\n<!channel>"));
        assert_eq!(
            forged["blocks"][2]["elements"][0]["text"],
            "by tidegate · generation 3 · <https://x/y!channel|open>"
        );
    }
}
