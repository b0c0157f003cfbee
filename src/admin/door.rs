//! Who may do what, by the way they came in.

use std::net::{IpAddr, SocketAddr};

use http::header::{CONTENT_TYPE, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, StatusCode};

use crate::controller::{Actor, Via};
use crate::runtime::{Clock, user_name};

use super::access::Keys;
use super::names::OwnNames;
use super::paths;
use super::reply::Problem;

/// The way somebody came in.
#[derive(Clone, Debug)]
pub(super) enum Door {
    /// Through the Unix socket, as this user.
    Socket {
        /// By number; `None` if the system does not say.
        user: Option<u32>,
    },
    /// Through TCP.
    Tcp {
        /// Where the connection came to.
        own: SocketAddr,
        /// Where it came from.
        peer: IpAddr,
        /// Whether it is TLS.
        secure: bool,
    },
}

/// Who asks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Caller {
    /// A user of this machine, by number; `None` if the system does not say.
    User(Option<u32>),
    /// Whoever has the token of that name.
    Token(Box<str>),
    /// Somebody who did not say, and need not.
    Nobody,
}

impl Door {
    /// Lets a request in, or says why not. What is asked for, and by which name, comes before who asks: neither
    /// tells anything, and a page of another site does not get to try tokens.
    pub(super) fn admit(&self, request: &Parts, keys: &Keys, clock: &Clock) -> Result<Caller, Problem> {
        let path = paths::find(request.uri.path())?;
        if let Self::Tcp { own, secure, .. } = self {
            let access = keys.access.load();
            let own = OwnNames { address: *own, names: &access.names, secure: *secure };
            own.admit(request, path)?;
        }
        path.admit(&request.method)?;
        let caller = match (self, path.needs) {
            (Self::Socket { user }, _) => Caller::User(*user),
            (Self::Tcp { .. }, None) => Caller::Nobody,
            (Self::Tcp { peer, .. }, Some(role)) => keys.caller(role, &request.headers, *peer, clock)?,
        };
        if path.writes {
            demand_json(&request.headers)?;
        }
        Ok(caller)
    }
}

impl Caller {
    /// Who it is and nobody else: a user and a token may have the same name.
    pub(super) fn key(&self) -> String {
        format!("{self:?}")
    }

    /// Who it is, for the journal.
    pub(super) fn actor(&self, headers: &HeaderMap) -> Actor {
        let agent = headers.get(USER_AGENT).and_then(|it| it.to_str().ok()).unwrap_or_default();
        let via = if agent.starts_with("tidegate-cli/") { Via::Cli } else { Via::Api };
        let name = match self {
            Self::User(Some(number)) => user_name(*number),
            Self::User(None) => "somebody".to_owned(),
            Self::Token(name) => name.to_string(),
            Self::Nobody => "nobody".to_owned(),
        };
        Actor { name, via }
    }
}

/// A form on somebody's web page cannot send this type without asking first.
fn demand_json(headers: &HeaderMap) -> Result<(), Problem> {
    let mut kinds = headers.get_all(CONTENT_TYPE).iter();
    let text = kinds.next().and_then(|it| it.to_str().ok()).unwrap_or_default();
    let kind = text.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") && kinds.next().is_none() {
        return Ok(());
    }
    let detail = "send `Content-Type: application/json`, with `{}` if there is nothing to say";
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "json_only", detail))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arc_swap::ArcSwap;

    use super::super::access::Access;
    use super::*;
    use crate::admin::Token;
    use crate::config::AdminAccess;
    use crate::model::Timestamp;
    use crate::runtime::ManualClock;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn keys() -> Keys {
        let state = tempfile::tempdir().unwrap();
        let file = state.path().join("admin-token");
        std::fs::write(&file, TOKEN).unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&file, private).unwrap();
        assert!(Token::load(state.path()).is_ok());
        let access = Access::new(&AdminAccess::default(), state.path()).unwrap();
        Keys::new(Arc::new(ArcSwap::from_pointee(access)))
    }

    /// `METHOD path`, then `Name: value` pairs separated by `|`; answers with who it is, or with the code of
    /// the refusal.
    fn admitted(door: &Door, line: &str, headers: &str) -> String {
        let (method, path) = line.split_once(' ').unwrap();
        let mut request = http::Request::builder().method(method).uri(path);
        for line in headers.split('|').filter(|it| !it.is_empty()) {
            let (name, value) = line.split_once(": ").unwrap();
            request = request.header(name, value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        match door.admit(&parts, &keys(), &ManualClock::new(Timestamp(0)).clock()) {
            Ok(caller) => {
                let actor = caller.actor(&parts.headers);
                format!("{} via {}", actor.name, actor.via.as_str())
            }
            Err(problem) => problem.code.to_owned(),
        }
    }

    #[test]
    fn changes_over_tcp_need_the_token_and_json() {
        let door = Door::Tcp {
            own: "127.0.0.1:9900".parse().unwrap(),
            peer: "127.0.0.1".parse().unwrap(),
            secure: false,
        };
        let (freeze, json) = ("POST /api/v1/freeze", "Host: localhost|Content-Type: application/json");
        let token = format!("Host: localhost|Authorization: Bearer {TOKEN}");
        for (line, headers, said) in [
            ("GET /livez", "Host: localhost".to_owned(), "nobody via api"),
            ("GET /api/v1/status", "Host: localhost".to_owned(), "nobody via api"),
            ("GET /api/v1/status", token.clone(), "token via api"),
            ("GET /nothing", "Host: localhost".to_owned(), "not_found"),
            ("GET /livez", "Host: evil.test".to_owned(), "foreign_name"),
            ("POST /livez", json.to_owned(), "method"),
            ("GET /api/v1/freeze", token.clone(), "method"),
            ("OPTIONS /api/v1/freeze", token.clone(), "method"),
            (freeze, "Host: localhost".to_owned(), "token_needed"),
            (freeze, json.to_owned(), "token_needed"),
            (freeze, format!("{json}|Authorization: Bearer wrong"), "token_needed"),
            (freeze, token.clone(), "json_only"),
            (freeze, format!("{token}|Content-Type: text/plain"), "json_only"),
            (freeze, format!("{token}|Content-Type: application/json|Content-Type: text/plain"), "json_only"),
            (freeze, format!("{token}|Content-Type: application/json; charset=utf-8"), "token via api"),
            (
                freeze,
                format!("{token}|Content-Type: application/json|User-Agent: tidegate-cli/0.1.0"),
                "token via cli",
            ),
        ] {
            assert_eq!(admitted(&door, line, &headers), said, "{line} {headers}");
        }
    }

    #[test]
    fn the_socket_needs_neither_name_nor_token() {
        let socket = Door::Socket { user: Some(0) };
        assert_eq!(admitted(&socket, "GET /livez", ""), "root via api");
        assert_eq!(
            admitted(&socket, "POST /api/v1/upgrade", "Content-Type: application/json"),
            "root via api"
        );
        assert_eq!(admitted(&socket, "POST /api/v1/upgrade", ""), "json_only");
    }
}
