//! Who may do what, by the way they came in.

use std::net::{IpAddr, SocketAddr};

use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};

use crate::controller::{Actor, Via};

use super::reply::Problem;
use super::token::Token;

/// The way somebody came in.
#[derive(Clone, Debug)]
pub(super) enum Door {
    /// Through the Unix socket, as this user.
    Socket {
        /// By number; `None` if the system does not say.
        user: Option<u32>,
    },
    /// Through loopback TCP.
    Tcp {
        /// Where we listen.
        own: SocketAddr,
    },
}

impl Door {
    /// Lets a request in, or says why not.
    pub(super) fn admit(&self, request: &Parts, token: Option<&Token>) -> Result<(), Problem> {
        if let Self::Tcp { own } = self {
            admit_names(request, *own)?;
        }
        let changes = !matches!(request.method, Method::GET | Method::HEAD);
        if changes {
            demand_json(&request.headers)?;
            if matches!(self, Self::Tcp { .. }) {
                demand_token(&request.headers, token)?;
            }
        }
        Ok(())
    }

    /// Who it is, for the journal.
    pub(super) fn actor(&self, headers: &HeaderMap) -> Actor {
        let agent = headers.get(USER_AGENT).and_then(|it| it.to_str().ok()).unwrap_or_default();
        let via = if agent.starts_with("tidegate-cli/") { Via::Cli } else { Via::Api };
        let name = match self {
            Self::Socket { user: Some(number) } => user_name(*number),
            Self::Socket { user: None } => "somebody".to_owned(),
            Self::Tcp { .. } => "token".to_owned(),
        };
        Actor { name, via }
    }
}

/// Refuses names that are not ours: a web page that makes a browser resolve its own name to our address
/// (DNS rebinding) still sends that name.
fn admit_names(request: &Parts, own: SocketAddr) -> Result<(), Problem> {
    let forbidden = |detail: &str| Problem::new(StatusCode::FORBIDDEN, "foreign_name", detail);
    let mut hosts = request.headers.get_all(HOST).iter();
    let host = hosts.next().and_then(|it| it.to_str().ok());
    let authority = request.uri.authority().map(|it| it.as_str()).or(host);
    if hosts.next().is_some() || !authority.is_some_and(|it| is_own(it, own)) {
        return Err(forbidden("`Host` is not a name of this server: use its address or `localhost`"));
    }
    for origin in request.headers.get_all(ORIGIN) {
        let text = origin.to_str().unwrap_or_default();
        let authority = text.strip_prefix("http://").or(text.strip_prefix("https://"));
        if !authority.is_some_and(|it| is_own(it, own)) {
            return Err(forbidden("`Origin` is another site"));
        }
    }
    Ok(())
}

/// Whether an authority means this server. The port is free: a forwarded one is legitimate, and says
/// nothing about who asks.
fn is_own(authority: &str, own: SocketAddr) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|it| it.is_ascii_digit()) => host,
        _ => authority,
    };
    let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host);
    match bare.parse::<IpAddr>() {
        Ok(address) => address.is_loopback() || address == own.ip(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

/// A form on somebody's web page cannot send this type without asking first.
fn demand_json(headers: &HeaderMap) -> Result<(), Problem> {
    let text = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let kind = text.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let detail = "send `Content-Type: application/json`, with `{}` if there is nothing to say";
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "json_only", detail))
}

fn demand_token(headers: &HeaderMap, token: Option<&Token>) -> Result<(), Problem> {
    let offered = headers.get(AUTHORIZATION).map(|it| it.as_bytes());
    let bearer = offered.and_then(|it| {
        let (scheme, rest) = it.split_at_checked("Bearer ".len())?;
        scheme.eq_ignore_ascii_case(b"Bearer ").then_some(rest)
    });
    match (token, bearer) {
        (Some(token), Some(offered)) if token.is(offered) => Ok(()),
        _ => {
            let detail = "changes over TCP need `Authorization: Bearer` with the token from `admin-token` in the state directory; the Unix socket needs none";
            Err(Problem::new(StatusCode::UNAUTHORIZED, "token_needed", detail))
        }
    }
}

/// The name of a user, from the local list; networks of users are not asked.
fn user_name(number: u32) -> String {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(number)).then(|| name.to_owned())
    });
    named.unwrap_or_else(|| format!("uid {number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn door() -> Door {
        Door::Tcp { own: "127.0.0.1:9900".parse().unwrap() }
    }

    /// `METHOD`, then `Name: value` pairs separated by `|`; answers with the code of the refusal.
    fn admitted(door: &Door, method: &str, headers: &str) -> String {
        let mut request = http::Request::builder().method(method).uri("/livez");
        for line in headers.split('|').filter(|it| !it.is_empty()) {
            let (name, value) = line.split_once(": ").unwrap();
            request = request.header(name, value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        match door.admit(&parts, Token::parse(TOKEN).as_ref()) {
            Ok(()) => format!("ok {}", door.actor(&parts.headers).via.as_str()),
            Err(problem) => problem.code.to_owned(),
        }
    }

    #[test]
    fn only_our_own_names_over_tcp() {
        for (headers, said) in [
            ("Host: 127.0.0.1:9900", "ok api"),
            ("Host: localhost:9900", "ok api"),
            ("Host: LOCALHOST", "ok api"),
            ("Host: [::1]:80", "ok api"),
            ("Host: 127.0.0.1:12345", "ok api"),
            ("", "foreign_name"),
            ("Host: evil.example", "foreign_name"),
            ("Host: localhost.evil.example", "foreign_name"),
            ("Host: 127.0.0.1.evil.example", "foreign_name"),
            ("Host: 10.0.0.1:9900", "foreign_name"),
            ("Host: localhost|Host: evil.example", "foreign_name"),
            ("Host: localhost|Origin: http://localhost:9900", "ok api"),
            ("Host: localhost|Origin: http://evil.example", "foreign_name"),
            ("Host: localhost|Origin: null", "foreign_name"),
            ("Host: localhost|User-Agent: tidegate-cli/0.1.0", "ok cli"),
        ] {
            assert_eq!(admitted(&door(), "GET", headers), said, "{headers}");
        }
    }

    #[test]
    fn changes_need_json_and_the_token() {
        let json = "Host: localhost|Content-Type: application/json";
        for (headers, said) in [
            ("Host: localhost".to_owned(), "json_only"),
            ("Host: localhost|Content-Type: text/plain".to_owned(), "json_only"),
            (json.to_owned(), "token_needed"),
            (format!("{json}|Authorization: Bearer wrong"), "token_needed"),
            (format!("{json}|Authorization: Basic {TOKEN}"), "token_needed"),
            (format!("{json}; charset=utf-8|Authorization: bearer {TOKEN}"), "ok api"),
        ] {
            assert_eq!(admitted(&door(), "POST", &headers), said, "{headers}");
        }
    }

    #[test]
    fn the_socket_needs_neither_name_nor_token() {
        let socket = Door::Socket { user: Some(0) };
        assert_eq!(admitted(&socket, "GET", ""), "ok api");
        assert_eq!(admitted(&socket, "POST", "Content-Type: application/json"), "ok api");
        assert_eq!(admitted(&socket, "POST", ""), "json_only");
        assert_eq!(user_name(0), "root");
        assert_eq!(user_name(u32::MAX - 7), format!("uid {}", u32::MAX - 7));
    }
}
