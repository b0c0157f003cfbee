//! What tokens open, and what stands open without one. A reload puts another [`Access`] in its place.

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use http::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, StatusCode};

use crate::config::{AdminAccess, Role, TokenHash};
use crate::model::Timestamp;
use crate::runtime::Clock;

use super::door::Caller;
use super::guesses::{Counted, Guesses};
use super::paths::token_needed;
use super::reply::Problem;
use super::tls::{self, Acceptor};
use super::token::{Token, TokenError};

/// Who may do what over TCP.
#[derive(Debug, Default)]
pub struct Access {
    anonymous: Option<Role>,
    tokens: Vec<Known>,
    /// Names of this server, in lower case.
    pub(super) names: Vec<Box<str>>,
    /// Shakes hands, if the address speaks TLS.
    pub(super) tls: Option<Acceptor>,
}

/// Somebody who has a token.
#[derive(Debug)]
struct Known {
    name: Box<str>,
    role: Role,
    hash: TokenHash,
    expires: Option<Timestamp>,
}

impl Access {
    /// As the file says. Where it names nobody, the token in `state` opens everything; it is read, or made.
    pub fn new(spec: &AdminAccess, state: &Path) -> Result<Self, TokenError> {
        let known = spec.tokens.iter().map(|it| Known {
            name: it.name.as_str().into(),
            role: it.role,
            hash: it.hash,
            expires: it.expires,
        });
        let mut tokens: Vec<Known> = known.collect();
        if tokens.is_empty() {
            let hash = Token::load_or_make(state)?.hash();
            tokens.push(Known { name: "token".into(), role: Role::Admin, hash, expires: None });
        }
        let tls = spec.tls.as_ref().map(tls::acceptor);
        Ok(Self { anonymous: spec.anonymous, tokens, names: spec.names.clone(), tls })
    }

    /// Who has this token. All are compared, whichever fits: how long it takes tells nothing.
    fn holder(&self, shown: TokenHash, now: Timestamp) -> Option<&Known> {
        let found =
            self.tokens.iter().fold(None, |found, it| if it.hash == shown { Some(it) } else { found });
        found.filter(|it| it.expires.is_none_or(|until| now < until))
    }
}

/// Looks at tokens.
#[derive(Debug, Default)]
pub(super) struct Keys {
    pub(super) access: Arc<ArcSwap<Access>>,
    guesses: Mutex<Guesses>,
}

impl Keys {
    pub(super) fn new(access: Arc<ArcSwap<Access>>) -> Self {
        Self { access, guesses: Mutex::default() }
    }

    /// Who asks from `from`, if they may do what takes this role.
    pub(super) fn caller(
        &self,
        needed: Role,
        headers: &HeaderMap,
        from: IpAddr,
        clock: &Clock,
    ) -> Result<Caller, Problem> {
        let now = clock.now();
        let access = self.access.load();
        let Some(shown) = shown(headers) else {
            return match access.anonymous {
                Some(open) if open >= needed => Ok(Caller::Nobody),
                _ => Err(token_needed(needed)),
            };
        };
        let guesses = || self.guesses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(left) = guesses().locked(from, now) {
            let seconds = left.as_secs().max(1);
            let detail = format!(
                "too many wrong tokens came from {from}: none is looked at for {seconds} s; the Unix socket needs none"
            );
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "locked_out", detail);
            return Err(problem.header(RETRY_AFTER, HeaderValue::from(seconds)));
        }
        // The end of a token is a day of the calendar.
        match access.holder(shown, clock.wall()) {
            Some(it) if it.role >= needed => Ok(Caller::Token(it.name.clone())),
            Some(it) => {
                let (role, needed) = (it.role.as_str(), needed.as_str());
                let detail = format!("the token has the role `{role}`, and this needs `{needed}`");
                Err(Problem::new(StatusCode::FORBIDDEN, "role_needed", detail).with("role", needed))
            }
            None => {
                match guesses().wrong(from, shown, now) {
                    Counted::Known => {}
                    Counted::New => tracing::warn!(peer = %from, "a wrong token at the admin address"),
                    Counted::Locked => tracing::warn!(
                        peer = %from,
                        "too many wrong tokens at the admin address: none from there is looked at for a minute"
                    ),
                }
                Err(token_needed(needed))
            }
        }
    }
}

/// The hash of the token that is shown, if one is. Two are a wrong one.
fn shown(headers: &HeaderMap) -> Option<TokenHash> {
    let mut bearers = headers.get_all(AUTHORIZATION).iter().filter_map(|it| {
        let (scheme, token) = it.as_bytes().split_at_checked(BEARER.len())?;
        scheme.eq_ignore_ascii_case(BEARER).then(|| token.trim_ascii())
    });
    let first = bearers.next()?;
    // Nobody's token is empty.
    Some(TokenHash::of(if bearers.next().is_some() { b"" } else { first }))
}

const BEARER: &[u8] = b"Bearer ";

#[cfg(test)]
mod timing;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::runtime::ManualClock;

    pub(super) const ANN: &str = "0123456789abcdef0123456789abcdef";
    pub(super) const NOW: Timestamp = Timestamp(1_000_000_000);
    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn keys(anonymous: Option<Role>) -> Keys {
        let known = |name: &str, role, token: &str, expires| Known {
            name: name.into(),
            role,
            hash: TokenHash::of(token.as_bytes()),
            expires,
        };
        let tokens = vec![
            known("ann", Role::Operate, ANN, None),
            known("old", Role::Admin, "expired", Some(NOW)),
            known("young", Role::Admin, "expires", Some(Timestamp(NOW.0 + 1))),
        ];
        let access = Access { anonymous, tokens, ..Access::default() };
        Keys::new(Arc::new(ArcSwap::from_pointee(access)))
    }

    /// `Scheme token` lines separated by `|`; answers with who it is, or with the code of the refusal.
    fn asked(keys: &Keys, needed: Role, shown: &str, from: IpAddr) -> String {
        asked_at(keys, needed, shown, from, &ManualClock::new(NOW).clock())
    }

    fn asked_at(keys: &Keys, needed: Role, shown: &str, from: IpAddr, clock: &Clock) -> String {
        let mut headers = HeaderMap::new();
        for line in shown.split('|').filter(|it| !it.is_empty()) {
            headers.append(AUTHORIZATION, line.parse().unwrap());
        }
        match keys.caller(needed, &headers, from, clock) {
            Ok(Caller::Token(name)) => name.into(),
            Ok(it) => format!("{it:?}"),
            Err(problem) => problem.code.to_owned(),
        }
    }

    #[test]
    fn roles_open_what_is_theirs() {
        for (needed, shown, said) in [
            (Role::Operate, format!("Bearer {ANN}"), "ann"),
            (Role::Metrics, format!("bearer  {ANN} "), "ann"),
            (Role::Admin, format!("Bearer {ANN}"), "role_needed"),
            (Role::Operate, String::new(), "token_needed"),
            (Role::Operate, "Bearer ".to_owned(), "token_needed"),
            (Role::Operate, format!("Basic {ANN}"), "token_needed"),
            (Role::Operate, format!("Bearer {}", &ANN[..31]), "token_needed"),
            (Role::Operate, format!("Bearer {ANN}0"), "token_needed"),
            (Role::Operate, format!("Bearer {ANN}|Bearer {ANN}"), "token_needed"),
            (Role::Metrics, "Bearer expired".to_owned(), "token_needed"),
            (Role::Metrics, "Bearer expires".to_owned(), "young"),
        ] {
            assert_eq!(asked(&keys(None), needed, &shown, PEER), said, "{shown}");
        }
    }

    /// The machine's clock was slow, or it slept.
    #[test]
    fn a_token_ends_by_the_calendar() {
        let (keys, manual) = (keys(None), ManualClock::new(NOW));
        let clock = manual.clock();
        manual.correct(-600);
        let old = || asked_at(&keys, Role::Metrics, "Bearer expired", PEER, &clock);
        assert_eq!(old(), "old");
        manual.correct(600);
        assert_eq!(old(), "token_needed");
        manual.correct(-1);
        assert_eq!(old(), "old");
    }

    #[test]
    fn what_stands_open_needs_no_token_and_takes_no_wrong_one() {
        for (open, needed, shown, said) in [
            (Some(Role::Read), Role::Read, "", "Nobody"),
            (Some(Role::Read), Role::Metrics, "", "Nobody"),
            (Some(Role::Read), Role::Operate, "", "token_needed"),
            (Some(Role::Metrics), Role::Metrics, "Basic eDp5", "Nobody"),
            (Some(Role::Metrics), Role::Read, "", "token_needed"),
            (None, Role::Metrics, "", "token_needed"),
            (Some(Role::Read), Role::Read, "Bearer wrong", "token_needed"),
        ] {
            assert_eq!(asked(&keys(open), needed, shown, PEER), said, "{open:?} {needed:?} {shown}");
        }
    }

    #[test]
    fn guesses_lock_their_own_address_alone() {
        let keys = keys(None);
        let (good, other) = (format!("Bearer {ANN}"), IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)));
        let mut said = std::collections::BTreeMap::new();
        for number in 0..10_000 {
            *said.entry(asked(&keys, Role::Read, &format!("Bearer {number}"), PEER)).or_insert(0) += 1;
        }
        assert_eq!(
            said.into_iter().collect::<Vec<_>>(),
            [("locked_out".to_owned(), 9_990), ("token_needed".to_owned(), 10)]
        );
        assert_eq!(asked(&keys, Role::Read, &good, PEER), "locked_out", "a good one tells nothing either");
        assert_eq!(asked(&keys, Role::Read, &good, other), "ann");
        assert_eq!(asked(&keys, Role::Read, "", PEER), "token_needed", "without a token nothing is locked");
    }
}
