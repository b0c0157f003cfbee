//! What a request says beside its path: the query and the body, both bounded.

use std::time::Duration;

use http::StatusCode;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use serde::de::DeserializeOwned;

use super::reply::Problem;

/// The query of a request: names and numbers, each at most once.
#[derive(Debug, Default)]
pub(super) struct Query<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Query<'a> {
    /// Splits a query. A name that is not `known` is refused: `?sinse=5` must not mean everything.
    pub(super) fn parse(text: Option<&'a str>, known: &[&str]) -> Result<Self, Problem> {
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        for part in text.unwrap_or_default().split('&').filter(|it| !it.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            if !known.contains(&name) {
                let detail = format!("unknown query parameter; this path knows: {}", known.join(", "));
                return Err(Problem::bad_request(detail));
            }
            if pairs.iter().any(|it| it.0 == name) {
                return Err(Problem::bad_request(format!("`{name}` is given twice")));
            }
            pairs.push((name, value));
        }
        Ok(Self(pairs))
    }

    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|it| it.0 == name).map(|it| it.1)
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let number = text.parse().map_err(|_| Problem::bad_request(format!("`{name}` is a whole number")))?;
        Ok(Some(number))
    }

    /// Whole seconds, at most [`WAIT_MAX`].
    pub(super) fn wait(&self, name: &str) -> Result<Option<Duration>, Problem> {
        let seconds = self.number(name)?;
        Ok(seconds.map(|it| Duration::from_secs(it).min(WAIT_MAX)))
    }
}

/// The whole body.
pub(super) async fn read(incoming: Incoming) -> Result<Bytes, Problem> {
    let collected = Limited::new(incoming, BODY_BYTES_MAX).collect();
    match tokio::time::timeout(BODY_TIME_MAX, collected).await {
        Ok(Ok(it)) => Ok(it.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let detail = format!("a body has at most {BODY_BYTES_MAX} bytes");
            Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail))
        }
        Ok(Err(_)) => Err(Problem::bad_request("the body ended early")),
        Err(_) => {
            let detail = "the body did not come in time";
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", detail))
        }
    }
}

/// A body as JSON; an empty one stands for `{}`.
pub(super) fn body<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, Problem> {
    if depth(bytes) > DEPTH_MAX {
        return Err(Problem::bad_request(format!("JSON is nested at most {DEPTH_MAX} deep here")));
    }
    // What JSON takes for blank, which a form feed is not.
    let blank = |it: &u8| b" \t\r\n".contains(it);
    let text: &[u8] = if bytes.iter().all(blank) { b"{}" } else { bytes };
    // serde would read a list as the members in their order.
    if text.iter().find(|it| !blank(it)) != Some(&b'{') {
        return Err(Problem::bad_request("the body is a JSON object"));
    }
    serde_json::from_slice(text).map_err(|it| Problem::bad_request(format!("the body: {it}")))
}

/// How deep brackets are nested, outside of texts.
fn depth(bytes: &[u8]) -> usize {
    let (mut now, mut most, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                now += 1;
                most = most.max(now);
            }
            b'}' | b']' if !quoted => now = now.saturating_sub(1),
            _ => {}
        }
    }
    most
}

/// Longest wait for news; the client asks again.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Largest body. Commands have a few hundred bytes.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Longest time for a body to come.
const BODY_TIME_MAX: Duration = Duration::from_secs(10);
/// Deepest JSON that is parsed.
const DEPTH_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::wire::CommandAsk;

    #[test]
    fn depth_counts_brackets_outside_of_texts() {
        for (text, deep) in [("", 0), ("{}", 1), ("[[{}]]", 3), (r#"{"a":"[[[[\"[["}"#, 1), ("]]]]", 0)] {
            assert_eq!(depth(text.as_bytes()), deep, "{text}");
        }
        let bomb = Bytes::from("[".repeat(65));
        assert_eq!(body::<CommandAsk>(&bomb).unwrap_err().status, StatusCode::BAD_REQUEST);
    }

    #[test]
    fn an_empty_body_asks_for_nothing_special() {
        assert_eq!(body::<CommandAsk>(&Bytes::from(" \n")).unwrap(), CommandAsk::default());
        assert!(body::<CommandAsk>(&Bytes::from(r#"{"ful":true}"#)).is_err(), "a misspelled member");
    }

    #[test]
    fn queries_are_closed() {
        let known = ["since", "limit"];
        assert_eq!(Query::parse(Some("since=5"), &known).unwrap().number("since").unwrap(), Some(5));
        assert_eq!(Query::parse(None, &known).unwrap().number("since").unwrap(), None);
        assert!(Query::parse(Some("sinse=5"), &known).is_err());
        assert!(Query::parse(Some("since=5&since=6"), &known).is_err());
        assert!(Query::parse(Some("since=x"), &known).unwrap().number("since").is_err());
    }
}
