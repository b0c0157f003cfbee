//! `github`: the repository whose deployments show releases.

use super::super::code::Code;
use super::super::fields::{self, Fields, Shape};
use super::super::node::Node;
use super::super::problem::{Problems, Report};
use super::super::secret::{Secret, secret};
use super::super::tls::Credentials;
use super::super::yaml::shown;
use super::address::{Lenient, NotifyUrl, parsed};

pub(in super::super) const GITHUB: Shape = Shape {
    name: "GitHub",
    what: "`github`",
    keys: &["repository", "token", "environment", "ref", "api", "environment_url"],
};

/// A repository whose deployments are kept up to date.
#[derive(Clone, Debug, PartialEq)]
pub struct GitHubSpec {
    /// Where its interface is.
    pub api: NotifyUrl,
    /// `owner/name`
    pub repository: String,
    /// Who we are there.
    pub token: Secret,
    /// Name of the environment, with `{service}` in it.
    pub environment: String,
    /// The branch, tag or commit of a version, with `{service}` and `{version}` in it.
    pub reference: String,
    /// Where the environment can be looked at.
    pub environment_url: Option<String>,
}

pub(super) fn github_spec(
    node: &Node,
    lenient: Lenient,
    credentials: &mut Credentials<'_>,
    problems: &mut Problems,
) -> Option<GitHubSpec> {
    let fields = Fields::of(node, node.at, &GITHUB, problems)?;
    let repository = fields.required("repository", "for example repository: acme/shop", problems);
    let repository = repository.and_then(|it| repository_name(&it.value, problems));
    let token = fields.required("token", "for example token: env:DEPLOY_TOKEN", problems);
    let token = token.and_then(|it| secret(&it.value, credentials, problems));
    let mut environment = Some("production".to_owned());
    if let Some(node) = fields.get("environment") {
        environment = template(node, &["service"], problems);
    }
    let mut reference = Some("{version}".to_owned());
    if let Some(node) = fields.get("ref") {
        reference = template(node, &["service", "version"], problems);
    }
    let api = match fields.get("api") {
        Some(node) => parsed(fields::text(node, problems)?, node, lenient, problems),
        None => parsed(GITHUB_API, node, lenient, problems),
    };
    let shown = fields.get("environment_url").map(|it| template(it, &["service", "version"], problems));
    Some(GitHubSpec {
        api: api?,
        repository: repository?,
        token: token?,
        environment: environment?,
        reference: reference?,
        environment_url: shown.map(|it| it.ok_or(())).transpose().ok()?,
    })
}

/// It becomes a part of a path, so its alphabet is what GitHub's is.
fn repository_name(node: &Node, problems: &mut Problems) -> Option<String> {
    let written = fields::text(node, problems)?;
    let part = |it: &str| {
        let letters = it.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        (1..=100).contains(&it.len()) && letters && it.bytes().any(|b| b != b'.')
    };
    match written.split_once('/') {
        Some((owner, name)) if part(owner) && part(name) => Some(written.to_owned()),
        _ => {
            let message = format!("`{}` is no repository", shown(written));
            problems.push(
                Report::error(Code::Notify, node.at, message).help("its owner and its name: acme/shop"),
            );
            None
        }
    }
}

/// A line of text in which some words in braces stand for something.
pub(super) fn template(node: &Node, words: &[&str], problems: &mut Problems) -> Option<String> {
    let written = fields::text(node, problems)?;
    if written.is_empty() || written.len() > TEMPLATE_BYTES_MAX || written.chars().any(char::is_control) {
        let message = format!("one line of at most {TEMPLATE_BYTES_MAX} bytes is wanted");
        return fields::bad_value(node, message, problems);
    }
    for part in written.split('{').skip(1) {
        let word = part.split_once('}').map(|it| it.0);
        if word.is_none_or(|it| !words.contains(&it)) {
            let message = format!("`{{{}}}` stands for nothing here", shown(word.unwrap_or(part)));
            let known: Vec<String> = words.iter().map(|it| format!("{{{it}}}")).collect();
            let report = Report::error(Code::Notify, node.at, message);
            problems.push(report.help(format!("there are {}", known.join(", "))));
            return None;
        }
    }
    Some(written.to_owned())
}

const TEMPLATE_BYTES_MAX: usize = 500;
const GITHUB_API: &str = "https://api.github.com";
