//! Everything that can be asked for, and what somebody must be allowed for it.
//!
//! One table for all: what is not in it is not there (404), so a path cannot be added without saying who
//! may use it, and the tests that knock at every door find it by themselves.

use http::{Method, StatusCode};

use crate::config::Role;

use super::reply::Problem;

/// A path, and what it takes.
#[derive(Debug)]
pub(super) struct Path {
    /// As in the documentation; `{name}` is one element of any content.
    pub(super) template: &'static str,
    /// Whether it changes something, or makes the server work: then it is a POST, and otherwise a GET.
    pub(super) writes: bool,
    /// What somebody must be allowed; `None` is nothing: it tells nobody anything.
    pub(super) needs: Option<Role>,
}

/// Every path.
pub(super) const PATHS: &[Path] = &[
    open("/livez"),
    open("/readyz"),
    open(PAGE),
    open("/dashboard/{file}"),
    open("/api/openapi.json"),
    read("/metrics", Role::Metrics),
    read("/api/v1/status", Role::Read),
    read("/api/v1/services", Role::Read),
    read("/api/v1/services/{name}", Role::Read),
    read("/api/v1/services/{name}/history", Role::Read),
    read("/api/v1/events", Role::Read),
    read("/api/v1/events/stream", Role::Read),
    read("/api/v1/config", Role::Read),
    write("/api/v1/services/{name}/promote", Role::Operate),
    write("/api/v1/services/{name}/pause", Role::Operate),
    write("/api/v1/services/{name}/resume", Role::Operate),
    write("/api/v1/services/{name}/rollback", Role::Operate),
    write("/api/v1/services/{name}/weight", Role::Operate),
    write("/api/v1/services/{name}/retry", Role::Operate),
    write("/api/v1/services/{name}/deploy", Role::Deploy),
    write("/api/v1/freeze", Role::Operate),
    write("/api/v1/unfreeze", Role::Operate),
    write("/api/v1/explain", Role::Operate),
    write("/api/v1/config/check", Role::Operate),
    write("/api/v1/config/diff", Role::Operate),
    write("/api/v1/config/reload", Role::Deploy),
    write("/api/v1/upgrade", Role::Admin),
];

/// The page that a browser opens.
pub(super) const PAGE: &str = "/";

const fn open(template: &'static str) -> Path {
    Path { template, writes: false, needs: None }
}

const fn read(template: &'static str, role: Role) -> Path {
    Path { template, writes: false, needs: Some(role) }
}

const fn write(template: &'static str, role: Role) -> Path {
    Path { template, writes: true, needs: Some(role) }
}

/// The path that somebody asks for. It is compared as it was sent: nothing is decoded, joined or resolved, so
/// that there is one spelling of each.
pub(super) fn find(asked: &str) -> Result<&'static Path, Problem> {
    // A path may be long; the sentence need not.
    let shown = || asked.chars().take(100).collect::<String>();
    let found = PATHS.iter().find(|it| it.fits(asked));
    found.ok_or_else(|| Problem::not_found(format!("nothing at `{}`", shown())))
}

impl Path {
    fn fits(&self, asked: &str) -> bool {
        let mut elements = asked.split('/');
        let fits = self.template.split('/').all(|wanted| match elements.next() {
            Some(element) if wanted.starts_with('{') => !element.is_empty(),
            Some(element) => element == wanted,
            None => false,
        });
        fits && elements.next().is_none()
    }

    /// Refuses methods that the path does not know. Headers that claim another method mean nothing.
    pub(super) fn admit(&self, method: &Method) -> Result<(), Problem> {
        let allow = if self.writes { "POST" } else { "GET, HEAD" };
        let fits = match *method {
            Method::POST => self.writes,
            Method::GET | Method::HEAD => !self.writes,
            _ => false,
        };
        if fits { Ok(()) } else { Err(Problem::method(allow)) }
    }
}

/// Somebody is needed who may do this.
pub(super) fn token_needed(role: Role) -> Problem {
    let role = role.as_str();
    let detail = format!(
        "this needs `Authorization: Bearer` with a token of the role `{role}`; the Unix socket needs none"
    );
    Problem::new(StatusCode::UNAUTHORIZED, "token_needed", detail).with("role", role)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_of_each() {
        for (asked, template) in [
            ("/", "/"),
            ("/livez", "/livez"),
            ("/api/v1/services/shop", "/api/v1/services/{name}"),
            ("/api/v1/services/shop/history", "/api/v1/services/{name}/history"),
            ("/api/v1/services/shop/promote", "/api/v1/services/{name}/promote"),
            ("/api/v1/services/..", "/api/v1/services/{name}"),
            ("/api/v1/events/stream", "/api/v1/events/stream"),
        ] {
            assert_eq!(find(asked).map(|it| it.template).ok(), Some(template), "{asked}");
        }
        for asked in [
            "",
            "*",
            "//",
            "/livez/",
            "//livez",
            "/LIVEZ",
            "/%6civez",
            "/./livez",
            "/x/../livez",
            "/livez;a",
            "/api/v1/services/",
            "/api/v1/services/shop/",
            "/api/v1/services//promote",
            "/api/v1/services/shop/explode",
            "/api/v1/services/a/b/promote",
            "/dashboard/",
            "/dashboard/a/b",
            "/api/v1",
            "/api/v1/status?",
            "\\livez",
        ] {
            assert!(find(asked).is_err(), "{asked}");
        }
    }

    #[test]
    fn nobody_changes_anything_without_a_role() {
        for path in PATHS {
            assert!(!path.writes || path.needs >= Some(Role::Operate), "{}", path.template);
            for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"] {
                let admitted = path.admit(&method.parse().unwrap()).is_ok();
                let expected = if path.writes { method == "POST" } else { matches!(method, "GET" | "HEAD") };
                assert_eq!(admitted, expected, "{method} {}", path.template);
            }
        }
    }

    /// A pipeline begins releases and sees how they end; the process and its program are none of its business.
    #[test]
    fn a_pipeline_may_release_and_no_more() {
        let opens = |it: &&Path| it.needs <= Some(Role::Deploy);
        let (open, shut): (Vec<_>, Vec<_>) = PATHS.iter().partition(opens);
        for template in ["/api/v1/config/reload", "/api/v1/services/{name}/deploy", "/api/v1/status"] {
            assert!(open.iter().any(|it| it.template == template), "{template}");
        }
        assert_eq!(shut.iter().map(|it| it.template).collect::<Vec<_>>(), ["/api/v1/upgrade"]);
        let leads = |it: &&Path| it.template.ends_with("/deploy") || it.template.ends_with("/reload");
        assert!(PATHS.iter().filter(leads).all(|it| it.needs > Some(Role::Operate)));
    }

    #[test]
    fn no_path_hides_another() {
        for (at, path) in PATHS.iter().enumerate() {
            let example = path.template.replace("{name}", "any").replace("{file}", "any");
            let first = PATHS.iter().position(|it| it.fits(&example));
            assert_eq!(first, Some(at), "{example}");
        }
    }
}
