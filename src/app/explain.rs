//! What would become of a request: read by the codec, matched by the matcher and assigned by the split that
//! serve real ones, and told in words. The same for a running server and for a file that nobody runs.

use std::net::IpAddr;
use std::sync::Arc;

use crate::admin::wire::{EndpointChoice, ExplainAsk, ExplainReply, RouteWire, ShareWire};
use crate::config::{Config, ListenerSpec};
use crate::h1::{RequestLimits, parse_request, said_client};
use crate::message::{RequestHead, Target as Asked, TargetRules};
use crate::model::{Generation, MacKey, Salt};
use crate::routing::{
    Balance, Candidate, Choice, HashBy, Hashing, HeaderLookup, Reason, RequestFacts, Service, Split,
    StickyBy, Table, Target, VersionIndex, unit,
};

/// What a question is asked of.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// Who gets what now.
    pub table: &'a Table,
    /// Where requests come in.
    pub listeners: &'a [ListenerSpec],
    /// What cookies are sealed with, if it is known here.
    pub key: Option<MacKey>,
}

/// The table of a file that nobody runs: what is live has everything but the shares that stay.
pub fn table_of(config: &Config) -> Table {
    let service = |it: &crate::config::ServiceConfig| {
        let salt = Salt::of(it.spec.name.as_str(), 0);
        let split = Split::new(&it.split, it.live, salt).unwrap_or_else(|| Split::all(it.live));
        Service { spec: Arc::clone(&it.spec), split, preview: None, trial: None }
    };
    Table {
        generation: Generation::default(),
        matcher: Arc::clone(&config.matcher),
        services: config.services.iter().map(service).collect(),
        dns: Arc::clone(&config.dns),
    }
}

/// Tells what would become of a request. `Err` says what is wrong with the question.
pub fn explain(scene: Scene<'_>, asked: &ExplainAsk) -> Result<ExplainReply, String> {
    let url = Url::read(&asked.url)?;
    let from = asked.from.as_deref().map(|it| it.parse::<IpAddr>());
    let from = from
        .map(|it| it.map(|it| it.to_canonical()))
        .transpose()
        .map_err(|_| "`from` is an IP address: 203.0.113.7".to_owned())?;
    let listener = scene.listener(&url);
    let mut told = ExplainReply { generation: scene.table.generation.0, ..ExplainReply::default() };
    told.listener = listener.map(|it| format!("{} ({})", it.name, it.address));
    let text = url.head(asked)?;
    let (mut head, mut target) = (RequestHead::default(), Asked::default());
    let read = parse_request(text.as_bytes(), &limits(listener), &mut head);
    let read = read.and_then(|()| target.resolve(&head, text.as_bytes(), &rules(listener)));
    if let Err(refusal) = read {
        told.request = format!("{} {}", asked.method, asked.url);
        told.status = Some(refusal.status());
        told.answer = Some(refusal.to_string());
        return Ok(told);
    }
    let buf = text.as_bytes();
    let header = |name: &str, each: &mut dyn FnMut(&[u8])| head.values(buf, name).for_each(each);
    let facts = RequestFacts {
        host: target.host(),
        path: target.path(),
        method: head.method.text(buf),
        query: target.query().map(|it| it.text(buf)),
        header: &header,
    };
    told.request = format!("{} {}{}", facts.method, facts.host, facts.path);
    if let Some(redirect) = listener.and_then(|it| it.redirect.as_ref()) {
        let mut location = String::new();
        redirect.location("http", facts.host, target.port(), facts.path, facts.query, &mut location);
        told.status = Some(redirect.status);
        told.answer = Some(format!("this listener sends everybody to {location}"));
        return Ok(told);
    }
    // A peer that is believed asks for somebody else.
    let trusted = |it: &IpAddr| listener.is_some_and(|on| on.trust.iter().any(|net| net.contains(*it)));
    let said = from.filter(trusted).and_then(|_| said_client(&head, buf));
    scene.routed(&facts, target.port(), said.map(|it| it.address).or(from), &mut told);
    Ok(told)
}

impl<'a> Scene<'a> {
    /// The one with the port of the URL; else the first that speaks its scheme.
    fn listener(&self, url: &Url<'_>) -> Option<&'a ListenerSpec> {
        let by_port = self.listeners.iter().find(|it| Some(it.address.port()) == url.port);
        by_port.or_else(|| self.listeners.iter().find(|it| it.tls.is_some() == url.secure))
    }

    fn routed(
        &self,
        facts: &RequestFacts<'_>,
        port: Option<u16>,
        from: Option<IpAddr>,
        told: &mut ExplainReply,
    ) {
        let account = self.table.matcher.account(facts);
        let wire = |it: &Candidate<'_>| RouteWire {
            route: it.route.label.to_string(),
            to: self.destination(&it.route.target),
            why: it.why.clone(),
        };
        told.nearest = account.nearest.iter().map(wire).collect();
        told.lost = account.matched.iter().skip(1).map(wire).collect();
        let Some(winner) = account.matched.first() else {
            told.status = Some(404);
            told.answer = Some("no route matches".into());
            return;
        };
        told.route = Some(wire(winner));
        if winner.route.rate.is_some() {
            told.notes.push("the route bounds how often each caller may ask; beyond that it is 429".into());
        }
        if winner.route.fault.is_some() {
            told.notes.push("the route makes some requests fail, for a rehearsal (`fault`)".into());
        }
        match &winner.route.target {
            Target::Redirect(it) => {
                let mut location = String::new();
                it.location("http", facts.host, port, facts.path, facts.query, &mut location);
                told.status = Some(it.status);
                told.answer = Some(format!("the route redirects to {location}"));
            }
            Target::Service(index) => {
                self.assigned(self.table.service(*index), facts.host, facts.header, from, told);
            }
        }
    }

    fn destination(&self, target: &Target) -> String {
        match target {
            Target::Service(index) => format!("service {}", self.table.service(*index).spec.name),
            Target::Redirect(it) => format!("a redirect ({})", it.status),
        }
    }

    fn assigned(
        &self,
        service: &Service,
        host: &str,
        header: HeaderLookup<'_>,
        from: Option<IpAddr>,
        told: &mut ExplainReply,
    ) {
        let spec = &service.spec;
        let name = |it: VersionIndex| spec.versions[it.0].name.to_string();
        let (unit, whose) = self.unit(service, header, from);
        let choice = service.choice(host, header, unit.as_deref());
        told.service = Some(spec.name.to_string());
        told.shares = service
            .shares()
            .into_iter()
            .map(|(it, weight)| ShareWire { version: name(it), weight_percent: weight.ratio() * 100.0 })
            .collect();
        told.version = choice.version.map(name);
        told.judged = choice.judged;
        let tried = |it: VersionIndex| [service.trial, service.preview].contains(&Some(it));
        told.lane = choice.version.map(|it| if tried(it) { "canary" } else { "stable" }.to_owned());
        if let Reason::Unit { point, .. } = choice.reason {
            told.bucket = Some(point);
        }
        told.why = Some(reason(&choice, service, whose));
        let versions: Vec<VersionIndex> = match choice.version {
            Some(it) => vec![it],
            None => service.shares().into_iter().map(|it| it.0).collect(),
        };
        for version in versions.into_iter().map(|it| &spec.versions[it.0]) {
            told.endpoints.extend(version.endpoints.iter().map(|it| EndpointChoice {
                version: version.name.to_string(),
                endpoint: it.url(),
                state: None,
            }));
        }
        if told.endpoints.len() > 1 {
            told.balance = Some(match &spec.balance {
                Balance::RoundRobin => "one after the other".to_owned(),
                Balance::LeastRequest => "the less busy of two random ones".to_owned(),
                Balance::Hash(Hashing { by, bound }) => {
                    let beyond = bound.map_or_else(String::new, |it| {
                        format!(
                            ", and the next one where that has {} % of an even share under way",
                            it.percent()
                        )
                    });
                    format!("by the hash of {}{beyond}", hashed(by, spec.sticky.is_some()))
                }
            });
        }
    }

    /// The identity of the caller, and what it is or why there is none.
    fn unit(
        &self,
        service: &Service,
        header: HeaderLookup<'_>,
        from: Option<IpAddr>,
    ) -> (Option<Vec<u8>>, String) {
        let first = |name: &str, read: &dyn Fn(&[u8]) -> Option<Vec<u8>>| {
            let mut found: Option<Vec<u8>> = None;
            header(name, &mut |value| found = found.take().or_else(|| read(value)));
            found.filter(|it| !it.is_empty())
        };
        let known = |unit: Option<Vec<u8>>, what: String| match unit {
            Some(unit) => (Some(unit), what),
            None => (None, format!("there is no {what}")),
        };
        match &service.spec.sticky {
            None => (None, String::new()),
            Some(StickyBy::Address) => match from {
                Some(it) => (Some(unit::address(it).to_vec()), format!("address {it}")),
                None => (None, "the address of the client decides: say it with --from".into()),
            },
            Some(StickyBy::Header(name)) => {
                known(first(name, &|it| Some(it.to_vec())), format!("header `{name}`"))
            }
            Some(StickyBy::Cookie(name)) => known(
                first("cookie", &|it| unit::cookie(it, name).map(<[u8]>::to_vec)),
                format!("cookie `{name}`"),
            ),
            Some(StickyBy::Minted(cookie)) => {
                let what = format!("cookie `{}` that was made here; one is given out", cookie.name);
                let Some(key) = self.key else {
                    return (None, "only the server knows which cookies it made".into());
                };
                match first("cookie", &|it| cookie.unit(it, key).map(<[u8]>::to_vec)) {
                    Some(unit) => (Some(unit), format!("cookie `{}`", cookie.name)),
                    None => (None, format!("there is no {what}")),
                }
            }
        }
    }
}

/// What the endpoint is chosen by.
fn hashed(by: &HashBy, is_sticky: bool) -> String {
    match by {
        HashBy::Unit if is_sticky => "what makes the caller sticky, else of the client's address".to_owned(),
        HashBy::Unit | HashBy::Address => "the client's address".to_owned(),
        HashBy::Header(name) => format!("header `{name}`, else of the client's address"),
        HashBy::Cookie(name) => format!("cookie `{name}`, else of the client's address"),
        HashBy::Path => "the path".to_owned(),
    }
}

/// Why that version, in a sentence.
fn reason(choice: &Choice, service: &Service, whose: String) -> String {
    let name = |it: VersionIndex| service.spec.versions[it.0].name.to_string();
    match &choice.reason {
        Reason::Preview => "a preview: testers reach what is being released".into(),
        Reason::Pin(number) => format!("pin {} of the service holds, before any weight", number + 1),
        Reason::Alone => "it has all of the traffic".into(),
        Reason::Unit { point, stretch: (first, end) } => format!(
            "sticky by {whose}: its bucket is {point} of 10000, and the version has {first} to {}",
            end - 1
        ),
        Reason::Chance(shares) => {
            let shares: Vec<String> =
                shares.iter().map(|(it, weight)| format!("{} {weight}", name(*it))).collect();
            let why = if whose.is_empty() { "each request is drawn".to_owned() } else { whose };
            format!("{why}; the shares are {}", shares.join(", "))
        }
    }
}

fn limits(listener: Option<&ListenerSpec>) -> RequestLimits {
    listener.map_or_else(RequestLimits::default, |it| RequestLimits {
        head: it.limits.head,
        headers: it.limits.headers,
        uri: it.limits.uri,
        underscores: it.underscores,
    })
}

fn rules(listener: Option<&ListenerSpec>) -> TargetRules {
    listener.map_or_else(TargetRules::default, |it| TargetRules {
        escaped_slashes: it.escaped_slashes,
        merge_slashes: it.merge_slashes,
    })
}

/// A URL as far as a request has parts of it.
struct Url<'a> {
    secure: bool,
    authority: &'a str,
    port: Option<u16>,
    target: String,
}

impl<'a> Url<'a> {
    fn read(text: &'a str) -> Result<Self, String> {
        let (secure, rest) = match text.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            Some(_) => return Err("a URL begins with http:// or https://".into()),
            None => (false, text),
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        if text.is_empty() || text.chars().any(|it| it.is_ascii_control() || it == ' ' || it == '#') {
            return Err("a URL has no spaces and no fragment: http://shop.example.com/cart".into());
        }
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        let port = authority.rsplit_once(':').and_then(|it| it.1.parse().ok());
        Ok(Self { secure, authority, port, target })
    }

    /// The head of the request as a client would send it.
    fn head(&self, asked: &ExplainAsk) -> Result<String, String> {
        let clean = |it: &str| !it.is_empty() && !it.chars().any(|it| it.is_ascii_control());
        if !clean(&asked.method) || asked.method.contains(' ') {
            return Err("a request has a method: GET".into());
        }
        let mut text = format!("{} {} HTTP/1.1\r\n", asked.method, self.target);
        let named = |it: &&String| it.split_once(':').is_some_and(|it| it.0.eq_ignore_ascii_case("host"));
        if !asked.headers.iter().any(|it| named(&it)) {
            text.push_str(&format!("Host: {}\r\n", self.authority));
        }
        for line in &asked.headers {
            let (name, value) = line
                .split_once(':')
                .filter(|it| clean(it.0))
                .ok_or_else(|| format!("`{line}` is no header: write it as 'name: value'"))?;
            if value.chars().any(|it| it.is_ascii_control() && it != '\t') {
                return Err(format!("the value of `{name}` has characters that cannot stand there"));
            }
            text.push_str(&format!("{name}: {}\r\n", value.trim()));
        }
        text.push_str("\r\n");
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{MemoryFiles, load};

    const FILE: &str = r#"
listen: {http: 8080, alt: 8081, old: {port: 80, redirect: https}}
services:
  shop:
    hosts: [shop.test]
    live: v1
    versions: {v1: [http://127.0.0.1:1, http://127.0.0.1:2], v2: http://127.0.0.1:3}
    split: {v2: 25%}
    sticky: {by: header, name: x-user}
    pin: [{when: {header: {x-group: beta}}, to: v2}]
  login: {hosts: [login.test], live: a, versions: {a: http://127.0.0.1:4}}
routes:
- {match: {host: shop.test, path: /api}, to: login}
- {match: {host: shop.test, path: {exact: /api/x}, method: POST}, to: login}
- {match: {host: shop.test, path: /old}, redirect: {path: /new}}
"#;

    fn ask(line: &str) -> ExplainReply {
        ask_from(FILE, line, None)
    }

    fn ask_from(file: &str, line: &str, from: Option<&str>) -> ExplainReply {
        let loaded = load(Path::new("t.yaml"), &MemoryFiles::new().with("t.yaml", file));
        let config = loaded.config.unwrap_or_else(|| panic!("{}", loaded.problems.render_human(false)));
        let table = table_of(&config);
        let scene = Scene { table: &table, listeners: &config.listeners, key: None };
        let mut words = line.split(' ');
        let asked = ExplainAsk {
            method: words.next().unwrap().into(),
            url: words.next().unwrap().into(),
            headers: words.map(str::to_owned).collect(),
            from: from.map(str::to_owned),
        };
        explain(scene, &asked).unwrap()
    }

    /// Whoever a peer that is believed speaks for is the one whose version is told.
    #[test]
    fn an_address_is_the_one_that_decides() {
        let file = "listen: {http: {port: 8080, trust: [10.0.0.0/8]}}\nservices:\n  shop: {live: a, sticky: {by: \
                    address}, split: {b: 50%}, versions: {a: http://127.0.0.1:1, b: http://127.0.0.1:2}}\n";
        let (plain, said) =
            ("GET http://shop.test/", "GET http://shop.test/ x-forwarded-for:6.6.6.6,203.0.113.7");
        let bucket = |line: &str, from: &str| ask_from(file, line, Some(from)).bucket.unwrap();
        let own = bucket(plain, "203.0.113.7");
        assert_eq!(bucket(said, "10.1.2.3"), own);
        assert_eq!(bucket(plain, "::ffff:203.0.113.7"), own);
        assert_ne!(bucket(plain, "10.1.2.3"), own);
        let stranger = ask_from(file, said, Some("192.0.2.1"));
        assert!(stranger.why.unwrap().contains("address 192.0.2.1"));
    }

    #[test]
    fn routes_versions_and_reasons() {
        for (line, status, route, version, why) in [
            ("GET http://login.test/x", None, "login.test/", Some("a"), "it has all of the traffic"),
            ("GET http://shop.test/a/../api/y", None, "shop.test/api", Some("a"), "all of the traffic"),
            ("GET http://shop.test/ x-group:beta", None, "shop.test/", Some("v2"), "pin 1"),
            (
                "GET http://shop.test/",
                None,
                "shop.test/",
                None,
                "there is no header `x-user`; the shares are v1 75%, v2 25%",
            ),
            ("GET http://shop.test/old/x", Some(308), "shop.test/old", None, ""),
            ("GET http://nobody.test/", Some(404), "", None, ""),
            ("GET http://shop.test:80/", Some(308), "", None, ""),
            ("GET http://shop.test/%zz", Some(400), "", None, ""),
        ] {
            let told = ask(line);
            let found = told.route.as_ref().map_or("", |it| it.route.as_str());
            if status != Some(308) {
                assert_eq!(told.status, status, "{line}: {told:?}");
            }
            assert_eq!((found, told.version.as_deref()), (route, version), "{line}: {told:?}");
            assert!(told.why.clone().unwrap_or_default().contains(why), "{line}: {told:?}");
        }
    }

    #[test]
    fn who_lost_and_what_was_near() {
        let told = ask("POST http://shop.test/api/x");
        assert_eq!(told.route.unwrap().why, "its path is exact, which comes before `shop.test/api`");
        let lost: Vec<(String, String)> = told.lost.into_iter().map(|it| (it.route, it.why)).collect();
        assert_eq!(lost[0], ("shop.test/api".into(), "an exact path comes first".into()));
        assert_eq!(lost[1].0, "shop.test/");
        let told = ask("GET http://nobody.test/");
        assert!(told.nearest.iter().any(|it| it.why == "its host is `login.test`"), "{told:?}");
    }

    /// The bucket that is told is the one that decides.
    #[test]
    fn sticky_callers_see_their_bucket() {
        let mut seen = std::collections::BTreeSet::new();
        for user in 0..50 {
            let told = ask(&format!("GET http://shop.test/ x-user:{user}"));
            let (bucket, version) = (told.bucket.unwrap(), told.version.unwrap());
            assert_eq!(version == "v2", bucket < 2_500, "{user}");
            seen.insert(version);
        }
        assert_eq!(seen.len(), 2);
    }

    #[test]
    fn nothing_can_be_smuggled_into_the_question() {
        let loaded = load(Path::new("t.yaml"), &MemoryFiles::new().with("t.yaml", FILE));
        let table = table_of(loaded.config.as_ref().unwrap());
        let scene = Scene { table: &table, listeners: &[], key: None };
        let asked = |method: &str, url: &str, header: &str| {
            explain(
                scene,
                &ExplainAsk {
                    method: method.into(),
                    url: url.into(),
                    headers: vec![header.into()],
                    from: None,
                },
            )
        };
        for (method, url, header) in [
            ("GET /x", "/", "a: b"),
            ("GET", "/ HTTP/1.1\r\nx: y", "a: b"),
            ("GET", "/", "a: b\r\nc: d"),
            ("GET", "/", "no header"),
            ("GET", "ftp://x/", "a: b"),
        ] {
            assert!(asked(method, url, header).is_err(), "{method} {url} {header}");
        }
    }
}
