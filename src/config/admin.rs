//! `admin`: where operators and scrapers are answered, and who may do what there.

mod exposed;

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::model::{Timestamp, TokenName};

use super::code::Code;
use super::fields::{self, Fields, Shape};
use super::listen::address;
use super::node::{Entry, Node, Value, Word};
use super::problem::{Problems, Report};
use super::secret::secret;
use super::source::At;
use super::tls::{self, AdminTls, Credentials};
use super::token::{TokenHash, token_strength};
use super::yaml::shown;

pub(super) use exposed::{exposed, is_door};

pub(super) const ADMIN: Shape = Shape {
    name: "Admin",
    what: "`admin`",
    keys: &["anonymous", "listen", "names", "socket", "tls", "token", "tokens", "unsafe_without_tls"],
};

pub(super) const TOKEN: Shape =
    Shape { name: "AdminToken", what: "a token", keys: &["expires", "role", "secret"] };

/// What the journal calls the token of `token`.
const UNNAMED: &str = "token";

/// Where operators and scrapers are answered.
#[derive(Clone, Debug, PartialEq)]
pub struct AdminSpec {
    /// TCP address; `None` switches it off.
    pub listen: Option<SocketAddr>,
    /// Unix socket; `None` leaves the choice to the environment.
    pub socket: Option<PathBuf>,
    /// Who may do what over TCP.
    pub access: AdminAccess,
}

/// Who may do what over TCP. A reload can change all of it.
#[derive(Clone, Debug, PartialEq)]
pub struct AdminAccess {
    /// What may be done without a token.
    pub anonymous: Option<Role>,
    /// Those who may do more; with none, the token in the state directory may do everything.
    pub tokens: Vec<TokenSpec>,
    /// Names of this server beside its addresses and `localhost`, in lower case.
    pub names: Vec<Box<str>>,
    /// How it speaks TLS; `None` is not at all.
    pub tls: Option<AdminTls>,
    /// Whether an address that others can reach may do without.
    pub unsafe_without_tls: bool,
}

/// Somebody who may do something.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenSpec {
    /// What they are called in the journal.
    pub name: TokenName,
    /// What they may do.
    pub role: Role,
    /// What their token hashes to.
    pub hash: TokenHash,
    /// Where it was read.
    pub source: SecretSource,
    /// The moment from which on it is good for nothing.
    pub expires: Option<Timestamp>,
}

/// Where a secret is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SecretSource {
    /// In a file.
    File(PathBuf),
    /// In an environment variable.
    Variable(String),
}

/// What somebody may do. Whoever may do more may do all that is below.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Role {
    /// Read the metrics.
    Metrics,
    /// See everything.
    Read,
    /// Lead releases.
    Operate,
    /// Begin releases: have the file loaded again, add versions.
    Deploy,
    /// Change the server itself.
    Admin,
}

impl TokenSpec {
    /// Whether it is the one that the file gives no name, because it may do everything.
    pub fn is_everybodys(&self) -> bool {
        self.name.as_str() == UNNAMED && self.role == Role::Admin
    }
}

impl Role {
    /// Each contains those before it.
    pub const ALL: [Self; 5] = [Self::Metrics, Self::Read, Self::Operate, Self::Deploy, Self::Admin];

    /// The word used on every surface.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Deploy => "deploy",
            Self::Admin => "admin",
        }
    }
}

impl Default for AdminSpec {
    fn default() -> Self {
        let listen = Some(SocketAddr::from(([127, 0, 0, 1], 9900)));
        Self { listen, socket: None, access: AdminAccess::default() }
    }
}

impl Default for AdminAccess {
    fn default() -> Self {
        Self {
            anonymous: Some(Role::Read),
            tokens: Vec::new(),
            names: Vec::new(),
            tls: None,
            unsafe_without_tls: false,
        }
    }
}

impl AdminSpec {
    /// Whether others than this machine can reach an address.
    pub fn is_public(address: SocketAddr) -> bool {
        !address.ip().to_canonical().is_loopback()
    }
}

impl AdminAccess {
    /// Whether it is good enough for an address that others can reach.
    pub fn is_fit_for_the_public(&self) -> bool {
        !self.tokens.is_empty() && (self.tls.is_some() || self.unsafe_without_tls)
    }
}

/// `admin`, and where its address is written, if it is.
pub(super) fn admin(
    node: &Node,
    credentials: &mut Credentials<'_>,
    problems: &mut Problems,
) -> Option<(AdminSpec, Option<At>)> {
    let fields = Fields::of(node, node.at, &ADMIN, problems)?;
    let mut spec = AdminSpec::default();
    fields.set("socket", &mut spec.socket, problems, |node, problems| fields::path(node, problems).map(Some));
    fields.set("listen", &mut spec.listen, problems, listen);
    let at = fields.get("listen").map(|it| it.at);
    let public = spec.listen.filter(|it| AdminSpec::is_public(*it));
    let access = &mut spec.access;
    access.tokens = tokens(&fields, credentials, problems);
    access.tls = fields.read("tls", problems, |node, problems| tls::admin(node, credentials, problems));
    fields.set("names", &mut access.names, problems, names);
    fields.set("unsafe_without_tls", &mut access.unsafe_without_tls, problems, fields::boolean);
    // Whoever opens the door to others says so twice before it shows them anything.
    access.anonymous = Some(Role::Read).filter(|_| public.is_none());
    let choices = [("read", Some(Role::Read)), ("metrics", Some(Role::Metrics)), ("off", None)];
    fields.set("anonymous", &mut access.anonymous, problems, |node, problems| {
        fields::choice(node, &choices, problems)
    });
    if let (Some(tls), true) = (fields.entry("tls"), access.unsafe_without_tls) {
        let message = "`unsafe_without_tls` is for an address without `tls`, and there is one";
        problems.push(Report::error(Code::Tls, tls.key.at, message));
    }
    if let (Some(address), Some(at)) = (public, at) {
        let secure = fields.get("tls").is_some() || access.unsafe_without_tls;
        let some = |it: &Node| !matches!(&it.value, Value::Map(entries) if entries.is_empty());
        let known = fields.get("token").is_some() || fields.get("tokens").is_some_and(some);
        if let Some(missing) = missing(secure, known) {
            let message = format!("{address} can be reached from outside this machine, and has no {missing}");
            let help = format!("add it, or write 127.0.0.1:{} or `off`", address.port());
            problems.push(Report::error(Code::AdminPublic, at, message).help(help));
        }
    }
    Some((spec, at))
}

fn missing(secure: bool, known: bool) -> Option<&'static str> {
    match (secure, known) {
        (true, true) => None,
        (false, true) => Some("`tls`"),
        (true, false) => Some("`tokens`"),
        (false, false) => Some("`tls` and no `tokens`"),
    }
}

fn listen(node: &Node, problems: &mut Problems) -> Option<Option<SocketAddr>> {
    if node.is_word("off") { Some(None) } else { address(node, problems).map(Some) }
}

/// `token` and `tokens`.
fn tokens(fields: &Fields<'_>, credentials: &mut Credentials<'_>, problems: &mut Problems) -> Vec<TokenSpec> {
    let mut found: Vec<(TokenSpec, At)> = Vec::new();
    let only = fields.entry("token").and_then(|it| only_token(it, credentials, problems));
    let named = fields.get("tokens").and_then(|it| fields::entries(it, "`tokens`", problems));
    let written = named.unwrap_or_default().iter().filter(|it| !it.value.is_null());
    let named: Vec<_> = written.map(|it| token(it, credentials, problems)).collect();
    for (spec, at) in only.into_iter().chain(named.into_iter().flatten()) {
        let other = found.iter().find(|it| it.0.hash == spec.hash || it.0.name == spec.name);
        if let Some((other, there)) = other {
            let message = match other.name == spec.name {
                true => format!("two tokens are called `{}`", spec.name),
                false => format!("`{}` and `{}` have the same token", other.name, spec.name),
            };
            let report = Report::error(Code::Token, at, message);
            problems.push(report.related(*there, "the other one"));
            continue;
        }
        found.push((spec, at));
    }
    found.into_iter().map(|it| it.0).collect()
}

/// `token: file:PATH`: one that may do everything.
fn only_token(
    entry: &Entry,
    credentials: &mut Credentials<'_>,
    problems: &mut Problems,
) -> Option<(TokenSpec, At)> {
    let (hash, source) = hash(&entry.value, credentials, problems)?;
    let name = fields::name(&Word { at: entry.key.at, text: UNNAMED.into() }, "token", problems)?;
    Some((TokenSpec { name, role: Role::Admin, hash, source, expires: None }, entry.key.at))
}

/// `ann: {secret: file:PATH, role: operate}`
fn token(
    entry: &Entry,
    credentials: &mut Credentials<'_>,
    problems: &mut Problems,
) -> Option<(TokenSpec, At)> {
    let name: Option<TokenName> = fields::name(&entry.key, "token", problems);
    let fields = Fields::of(&entry.value, entry.key.at, &TOKEN, problems)?;
    let secret = fields.required("secret", "say where it is: file:PATH or env:NAME", problems);
    let found = secret.and_then(|it| hash(&it.value, credentials, problems));
    let roles = Role::ALL.map(|it| (it.as_str(), it));
    let role = fields.required("role", "metrics, read, operate, deploy or admin", problems);
    let role = role.and_then(|it| fields::choice(&it.value, &roles, problems));
    let expires = fields.entry("expires").map(|it| fields::parsed(&it.value, moment, problems).ok_or(()));
    let expires = expires.transpose().ok()?;
    let (name, (hash, source), role) = (name?, found?, role?);
    if let (Some(node), true) = (fields.get("expires"), expires.is_some_and(|it| it <= credentials.now)) {
        let message = format!("the token of `{name}` has expired");
        let report = Report::warning(Code::Token, node.at, message);
        problems.push(report.help("whoever has it is refused; give them a new one, or take it out"));
    }
    Some((TokenSpec { name, role, hash, source, expires }, entry.key.at))
}

/// What the token that `node` names hashes to; there may be its hash instead of it.
fn hash(
    node: &Node,
    credentials: &mut Credentials<'_>,
    problems: &mut Problems,
) -> Option<(TokenHash, SecretSource)> {
    let found = secret(node, credentials, problems)?;
    let source = source(node, problems)?;
    if let Some(hash) = TokenHash::parse(found.reveal()) {
        return Some((hash, source));
    }
    if let Err(why) = token_strength(found.reveal()) {
        let report = Report::error(Code::Token, node.at, why.to_string());
        problems.push(report.help("`tidegate token` makes one"));
        return None;
    }
    Some((TokenHash::of(found.reveal().as_bytes()), source))
}

/// Where the secret is that `node` refers to.
fn source(node: &Node, problems: &mut Problems) -> Option<SecretSource> {
    let (kind, name) = fields::text(node, problems)?.split_once(':')?;
    if kind == "env" {
        return Some(SecretSource::Variable(name.to_owned()));
    }
    let file = problems.path_of(node.at.file);
    Some(SecretSource::File(file.parent().map_or_else(|| name.into(), |it| it.join(name))))
}

/// A day, which has then begun, or a moment.
fn moment(text: &str) -> Result<Timestamp, String> {
    let day = || text.parse::<jiff::civil::Date>().ok()?.at(0, 0, 0, 0).in_tz("UTC").ok();
    let moment = text.parse().ok().or_else(|| day().map(|it| it.timestamp()));
    let micros = moment.and_then(|it: jiff::Timestamp| u64::try_from(it.as_microsecond()).ok());
    micros.map(Timestamp).ok_or_else(|| "a day (in UTC) or a moment: 2027-01-31, 2027-01-31T18:00:00Z".into())
}

fn names(node: &Node, problems: &mut Problems) -> Option<Vec<Box<str>>> {
    let items = fields::one_or_more(node, "a name or a list of them", problems)?;
    let names: Vec<_> = items.into_iter().map(|it| fields::parsed(it, name, problems)).collect();
    names.into_iter().collect()
}

/// A name of a host, or an address that somebody translates to ours.
fn name(text: &str) -> Result<Box<str>, String> {
    let fits = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'.' | b'_');
    let is_address = text.parse::<std::net::IpAddr>().is_ok();
    if is_address || (!text.is_empty() && text.len() <= 253 && text.bytes().all(fits)) {
        return Ok(text.to_ascii_lowercase().into_boxed_str());
    }
    Err(format!("`{}` is no name of a host: write it without a scheme and a port", shown(text)))
}
