//! Entity tags: what an answer showed, and whether that is still so.
//!
//! A tag has two halves: `"m12-9f3a66b1c0d2e4f8"`. The first is what people change: the mark of a service,
//! the generation of a configuration. The second is a hash of the answer, so that equal tags mean equal bytes.
//! `If-None-Match` compares the whole, because counts move all the time and a reader wants them. `If-Match`
//! compares the first half, because a command is meant for a step of a release and not for a count of requests.

use http::header::{ETAG, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::{Either, Full};
use serde::Serialize;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::controller::{ServiceStatus, Status};
use crate::model::Generation;

use super::reply::{Problem, Reply, whole};

/// The first half of a tag: what can be changed, as it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct State(String);

/// What a change is meant for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Meant {
    /// Whatever is there; `*` says the same, because what is not there is a 404 anyway.
    Anything,
    /// One of these.
    OneOf(Vec<String>),
}

impl State {
    /// A service: it moves with each decision about it.
    pub(super) fn service(it: &ServiceStatus) -> Self {
        Self(format!("m{}", it.mark))
    }

    /// The configuration that serves.
    pub(super) fn config(it: Generation) -> Self {
        Self(format!("g{it}"))
    }

    /// All that people can change: the configuration, the freeze, and the mark of every service.
    pub(super) fn house(it: &Status) -> Self {
        let freeze = it.freeze.as_ref().map(|it| (&it.by.name, &it.reason, it.until));
        let mut text = format!("{} {freeze:?}", it.generation);
        it.services.iter().for_each(|it| text.push_str(&format!(" {}={}", it.name, it.mark)));
        Self(format!("s{:016x}", xxh3_64(text.as_bytes())))
    }

    /// News up to this event.
    pub(super) fn events(newest: u64) -> Self {
        Self(format!("e{newest}"))
    }

    /// What comes with the program.
    pub(super) fn program() -> Self {
        Self("p".to_owned())
    }
}

/// A value as JSON, with its tag.
pub(super) fn json(state: &State, value: &impl Serialize) -> Reply {
    let text = serde_json::to_string(value).expect("wire types have string keys and finite depth");
    tagged(state, "application/json", text)
}

/// A text, with its tag.
pub(super) fn tagged(state: &State, kind: &'static str, text: String) -> Reply {
    let tag = format!("\"{}-{:016x}\"", state.0, xxh3_128(text.as_bytes()) as u64);
    let mut reply = whole(StatusCode::OK, kind, text);
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        reply.headers_mut().insert(ETAG, tag);
    }
    reply
}

/// The answer, or 304 for whoever has it already.
pub(super) fn unless_known(mut reply: Reply, head: &Parts) -> Reply {
    let reads = matches!(head.method, Method::GET | Method::HEAD);
    let Some(tag) = reply.headers().get(ETAG).filter(|_| reads && reply.status() == StatusCode::OK) else {
        return reply;
    };
    // What cannot be read is passed over: the whole answer is never wrong.
    let known = match tags(&head.headers, IF_NONE_MATCH) {
        Ok(Some(Listed::Tags(known))) => {
            known.iter().any(|it| tag.as_bytes() == quoted(&it.opaque).as_bytes())
        }
        Ok(Some(Listed::Anything)) => true,
        Ok(None) | Err(_) => false,
    };
    if known {
        *reply.status_mut() = StatusCode::NOT_MODIFIED;
        *reply.body_mut() = Either::Left(Full::default());
        reply.headers_mut().remove(http::header::CONTENT_TYPE);
    }
    reply
}

impl Meant {
    /// What `If-Match` says.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        Ok(match tags(headers, IF_MATCH)? {
            None | Some(Listed::Anything) => Self::Anything,
            // A weak tag equals nothing, so a list of nothing else never fits.
            Some(Listed::Tags(list)) => Self::OneOf(
                list.into_iter()
                    .filter(|it| !it.weak)
                    .map(|it| it.opaque.split('-').next().unwrap_or_default().to_owned())
                    .collect(),
            ),
        })
    }

    /// Whether it is meant for what is so now.
    pub(super) fn fits(&self, now: &State) -> bool {
        match self {
            Self::Anything => true,
            Self::OneOf(states) => states.contains(&now.0),
        }
    }
}

enum Listed {
    Anything,
    Tags(Vec<Tag>),
}

struct Tag {
    weak: bool,
    opaque: String,
}

fn tags(headers: &HeaderMap, name: HeaderName) -> Result<Option<Listed>, Problem> {
    let wrong =
        || Problem::bad_request(format!("`{name}` is `*` or tags in double quotes, separated by commas"));
    let mut list = Vec::new();
    let mut values = headers.get_all(&name).iter().peekable();
    if values.peek().is_none() {
        return Ok(None);
    }
    for value in values {
        let mut rest = value.to_str().map_err(|_| wrong())?.trim();
        if rest == "*" {
            return Ok(Some(Listed::Anything));
        }
        while !rest.is_empty() {
            let (weak, tag) = rest.strip_prefix("W/").map_or((false, rest), |it| (true, it));
            let (opaque, after) =
                tag.strip_prefix('"').and_then(|it| it.split_once('"')).ok_or_else(wrong)?;
            list.push(Tag { weak, opaque: opaque.to_owned() });
            let after = after.trim_start();
            rest = match after.strip_prefix(',') {
                Some(next) => next.trim_start(),
                None if after.is_empty() => after,
                None => return Err(wrong()),
            };
        }
    }
    Ok(Some(Listed::Tags(list)))
}

fn quoted(opaque: &str) -> String {
    format!("\"{opaque}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::script;

    fn headers(name: HeaderName, values: &[&'static str]) -> HeaderMap {
        values.iter().map(|it| (name.clone(), HeaderValue::from_static(it))).collect()
    }

    #[test]
    fn a_change_is_meant_for_a_state() {
        let shop = State::service(&script::canary().services[0]);
        assert_eq!(shop, State("m12".into()));
        for (values, fits) in [
            (&[][..], true),
            (&["*"], true),
            (&["\"m12-0000000000000000\""], true),
            (&["\"m12\""], true),
            (&["\"m11-1\", \"m12-2\""], true),
            (&["\"m11-1\"", "\"m12-2\""], true),
            (&["\"m11-1\""], false),
            (&["\"m1\""], false),
            (&["\"\""], false),
            (&["W/\"m12-1\""], false),
        ] {
            let meant = Meant::of(&headers(IF_MATCH, values)).unwrap();
            assert_eq!(meant.fits(&shop), fits, "{values:?}");
        }
        for wrong in ["m12", "\"m12", "\"a\" \"b\"", "\"a\", *", "w/\"a\"", "\"a\",,\"b\""] {
            assert!(Meant::of(&headers(IF_MATCH, &[wrong])).is_err(), "{wrong}");
        }
    }

    #[test]
    fn whoever_has_the_answer_is_told_so() {
        let reply = || json(&State::config(Generation(17)), &serde_json::json!({"a": 1}));
        let tag = reply().headers()[ETAG].to_str().unwrap().to_owned();
        assert!(tag.starts_with("\"g17-") && tag.len() == 22, "{tag}");
        for (method, known, status) in [
            ("GET", tag.clone(), 304),
            ("HEAD", tag.clone(), 304),
            ("GET", format!("W/{tag}"), 304),
            ("GET", format!("\"x\", {tag}"), 304),
            ("GET", "*".into(), 304),
            ("GET", "\"g17-0000000000000000\"".into(), 200),
            ("GET", "nonsense".into(), 200),
            ("POST", tag.clone(), 200),
        ] {
            let asked =
                http::Request::builder().method(method).header(IF_NONE_MATCH, &known).body(()).unwrap();
            let answered = unless_known(reply(), &asked.into_parts().0);
            assert_eq!(answered.status(), status, "{method} {known}");
            assert!(answered.headers().contains_key(ETAG));
        }
    }

    #[test]
    fn the_house_is_what_people_change() {
        let before = State::house(&script::canary());
        let changed = |change: fn(&mut Status)| {
            let mut status = script::canary();
            change(&mut status);
            State::house(&status) != before
        };
        assert!(changed(|it| it.generation = Generation(18)));
        assert!(changed(|it| it.services[1].mark += 1));
        assert!(changed(|it| drop(it.services.pop())));
        assert!(!changed(|it| it.revision += 1));
        assert!(!changed(|it| it.services[0].lanes[0].per_second = 0.0));
    }
}
