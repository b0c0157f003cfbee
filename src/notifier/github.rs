//! Deployments on GitHub: a release is one, and what happens to it is its state.
//!
//! A deployment is made when a release begins. What is already there is looked up before, by what was written
//! into its payload, so that an answer that was lost or a restart does not make a second one.

use http::Method;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::config::{GitHubSpec, NotifySpec};
use crate::release::{News, What};

use super::call::{Call, call};
use super::memory::Deployment;
use super::news::{filled, key};
use super::outcome::{Outcome, judged};
use super::target::House;

/// Brings the deployment of a release to its state.
pub(super) async fn deliver(house: &House, spec: &NotifySpec, it: &GitHubSpec, news: &News) -> Outcome {
    let Some(state) = state(news.what) else { return Outcome::Delivered };
    let id = match deployment(house, spec, it, news).await {
        Ok(id) => id,
        Err(outcome) => return outcome,
    };
    let body = json!({
        "state": state,
        "description": shortened(&news.text, DESCRIPTION_CHARS_MAX),
        "log_url": spec.link.as_deref().map_or(String::new(), |it| filled(it, news)),
        "environment_url": it.environment_url.as_deref().map_or(String::new(), |it| filled(it, news)),
    });
    let path = format!("{}/{id}/statuses", place(it));
    let outcome = match ask(house, spec, it, Method::POST, &path, Some(body)).await {
        Ok(_) => Outcome::Delivered,
        Err(outcome) => return outcome,
    };
    let over = matches!(state, "success" | "failure" | "inactive");
    remember(house, spec, news, id, over);
    outcome
}

/// Asks for the deployments of the repository: whether it is there and believes the token. Nothing is made.
pub(super) async fn try_out(house: &House, spec: &NotifySpec, it: &GitHubSpec) -> Outcome {
    let path = format!("{}?per_page=1", place(it));
    ask(house, spec, it, Method::GET, &path, None).await.map_or_else(|it| it, |_| Outcome::Delivered)
}

/// What a deployment is when this has happened; `None`: that says nothing about it.
fn state(what: What) -> Option<&'static str> {
    match what {
        What::Verifying => Some("queued"),
        What::Began | What::Advanced | What::Promoted | What::Resumed | What::Approved => Some("in_progress"),
        What::Paused | What::Asked => Some("pending"),
        What::Completed => Some("success"),
        What::RolledBack => Some("failure"),
        What::Superseded => Some("inactive"),
        What::Adopted
        | What::Redefined
        | What::Barred
        | What::Settled
        | What::Held
        | What::Released
        | What::Retried
        | What::Restarted
        | What::Checking
        | What::Checked
        | What::Overridden
        | What::Breached
        | What::Weighted
        | What::Unready
        | What::Ready
        | What::Expired
        | What::Frozen
        | What::Unfrozen
        | What::Deployed
        | What::Drifted
        | What::InSync => None,
    }
}

/// Whether a release may begin with this.
fn begins(what: What) -> bool {
    matches!(what, What::Verifying | What::Began | What::Promoted)
}

/// The number of the deployment that this is about; it is made if there is none.
async fn deployment(house: &House, spec: &NotifySpec, it: &GitHubSpec, news: &News) -> Result<u64, Outcome> {
    let known = house.deployment(&spec.name, &news.service);
    let known = known.filter(|it| it.version == news.version && !(it.over && begins(news.what)));
    if let Some(known) = known {
        return Ok(known.id);
    }
    let reference = filled(&it.reference, news);
    let environment = filled(&it.environment, news);
    let query = format!("?ref={}&environment={}&per_page=5", encoded(&reference), encoded(&environment));
    let there = ask(house, spec, it, Method::GET, &format!("{}{query}", place(it)), None).await?;
    let id = match there.as_array().into_iter().flatten().find(|it| is_meant(&it["payload"], news)) {
        Some(found) => found["id"].as_u64(),
        None => {
            let body = json!({
                "ref": reference,
                "environment": environment,
                "task": "deploy",
                "auto_merge": false,
                "required_contexts": [],
                "description": format!("{} {}", news.service, news.version),
                "payload": {
                    "tidegate": key(news),
                    "service": news.service.as_str(),
                    "version": news.version.as_str(),
                },
            });
            ask(house, spec, it, Method::POST, &place(it), Some(body)).await?["id"].as_u64()
        }
    };
    let again = || Outcome::Again { why: "the answer names no deployment".into(), after: None };
    let id = id.ok_or_else(again)?;
    remember(house, spec, news, id, false);
    Ok(id)
}

/// Whether a deployment was made for this release. What begins one looks for itself alone.
fn is_meant(payload: &Value, news: &News) -> bool {
    let of = |key: &str, value: &str| payload[key].as_str() == Some(value);
    match begins(news.what) {
        true => of("tidegate", &key(news)),
        false => of("service", news.service.as_str()) && of("version", news.version.as_str()),
    }
}

fn remember(house: &House, spec: &NotifySpec, news: &News, id: u64, over: bool) {
    let it = Deployment { version: news.version.clone(), id, over };
    house.change(&spec.name, |known| {
        known.deployments.insert(news.service.clone(), it);
    });
}

/// Where the deployments of the repository are.
fn place(it: &GitHubSpec) -> String {
    format!("{}/repos/{}/deployments", it.api.path.trim_end_matches('/'), it.repository)
}

/// The answer as JSON, if the question was taken.
async fn ask(
    house: &House,
    spec: &NotifySpec,
    it: &GitHubSpec,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Result<Value, Outcome> {
    let mut token = HeaderValue::try_from(format!("Bearer {}", it.token.reveal()))
        .map_err(|_| Outcome::Never("its token cannot be sent".into()))?;
    token.set_sensitive(true);
    let version = HeaderName::from_static("x-github-api-version");
    let mut headers = vec![
        (ACCEPT, HeaderValue::from_static("application/vnd.github+json")),
        (version, HeaderValue::from_static("2022-11-28")),
        (AUTHORIZATION, token),
    ];
    if body.is_some() {
        headers.push((CONTENT_TYPE, HeaderValue::from_static("application/json")));
    }
    let body = body.map_or_else(Vec::new, |it| it.to_string().into_bytes());
    let question = Call { method, path, headers, body };
    let answer = call(spec, &*house.names, question, house.clock.now()).await;
    match judged(&answer) {
        Outcome::Delivered => {}
        other => return Err(other),
    }
    let body = answer.map(|it| it.body).unwrap_or_default();
    let again = || Outcome::Again { why: "the answer is no JSON that fits 64 KiB".into(), after: None };
    serde_json::from_slice(&body).map_err(|_| again())
}

/// For a query: everything but letters, digits and the four marks that mean nothing.
fn encoded(text: &str) -> String {
    let byte = |it: u8| match it {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(it).to_string(),
        it => format!("%{it:02X}"),
    };
    text.bytes().map(byte).collect()
}

fn shortened(text: &str, most: usize) -> String {
    let line: String = text.chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
    match line.char_indices().nth(most) {
        // The sign for what is missing takes one place.
        Some(_) => format!("{}…", line.chars().take(most - 1).collect::<String>()),
        None => line,
    }
}

/// What GitHub takes.
const DESCRIPTION_CHARS_MAX: usize = 140;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::GITHUB_EVENTS;

    #[test]
    fn the_file_may_name_what_has_a_state_and_nothing_else() {
        for what in What::EVERY {
            assert_eq!(state(what).is_some(), GITHUB_EVENTS.contains(&what), "{what}");
        }
    }

    #[test]
    fn texts() {
        assert_eq!(encoded("release/v1.2 ä"), "release%2Fv1.2%20%C3%A4");
        assert_eq!(shortened("a\nb", 5), "a b");
        assert_eq!(shortened("äöüßé", 5), "äöüßé");
        assert_eq!(shortened("äöüßéx", 5), "äöüß…");
    }
}
