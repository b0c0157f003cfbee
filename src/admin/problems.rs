//! Every code that a problem can have, and what it means. Codes are only ever added.

/// Code, usual status, meaning.
pub(super) const CODES: &[(&str, u16, &str)] = &[
    ("bad_request", 400, "The request is not what this path takes; `detail` says where."),
    (
        "malformed",
        400,
        "The request is not sound HTTP/1.1, or larger than it may be (also 405, 411, 414, 417, 431, 501, 505).",
    ),
    ("token_needed", 401, "Somebody must be known who may do this: `Authorization: Bearer TOKEN`."),
    ("file_decides", 403, "Under `authority: git` the file alone says what is released."),
    ("foreign_origin", 403, "A page of another site asks."),
    ("role_needed", 403, "The token is of a role that may not do this; `role` names one that may."),
    ("locked_out", 429, "Too many wrong tokens came from there; `Retry-After` says when to come again."),
    ("foreign_name", 421, "`Host` is not a name of this server."),
    (
        "not_permitted",
        409,
        "The release or its calendar does not permit this now; `detail` names the way out.",
    ),
    ("not_found", 404, "There is nothing at this path."),
    ("unknown_service", 404, "There is no such service; `known` lists those that are."),
    ("method", 405, "The path does not know this method; `Allow` says which it knows."),
    ("timeout", 408, "The head or the body did not come in time."),
    ("busy", 409, "Another command about the service is under way."),
    ("no_target", 409, "There is nothing to return to."),
    ("not_handed_over", 409, "No new process has taken over; this one goes on."),
    ("not_ready", 409, "The version cannot be tried yet."),
    ("quarantined", 409, "The version was rolled back and gets nothing until `retry`."),
    ("wrong_state", 409, "The command means nothing in this state; `service` is the state."),
    (
        "stale",
        412,
        "It was meant for another state: somebody acted first. `service`, or `generation`, is what is so now.",
    ),
    ("too_large", 413, "The body is larger than 1 MiB."),
    ("json_only", 415, "A POST has `Content-Type: application/json`."),
    (
        "invalid_configuration",
        422,
        "The configuration has errors and nothing changed; `problems` has file, line and column of each.",
    ),
    ("key_reused", 422, "This `Idempotency-Key` came with another request before."),
    ("internal", 500, "Something failed here that should not; `detail` says what."),
    ("stopping", 503, "The process is coming to its end, or hands over."),
    ("too_many_streams", 503, "As many streams are open as may be."),
    ("not_durable", 507, "The disk does not take records, and this may not be done without one."),
];

/// The line of a code.
pub(super) fn of(code: &str) -> Option<&'static (&'static str, u16, &'static str)> {
    CODES.iter().find(|it| it.0 == code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::RefusalCode;

    /// The codes that are written in the sources of this room.
    fn used() -> Vec<String> {
        let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/admin"))];
        let mut used = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]").next().unwrap_or_default();
                for made in code.split("Problem::new(").chain(code.split(" Self::new(")).skip(1) {
                    // `StatusCode::X, "code", …`
                    let mut words = made.split(',').skip(1);
                    let word = words.next().unwrap_or_default().trim();
                    used.extend(
                        word.strip_prefix('"').and_then(|it| it.strip_suffix('"')).map(str::to_owned),
                    );
                }
            }
        }
        used
    }

    #[test]
    fn every_code_that_is_used_is_listed() {
        let used = used();
        assert!(used.len() > 12, "{used:?}");
        let missing: Vec<_> = used.iter().filter(|it| of(it).is_none()).collect();
        assert!(missing.is_empty(), "codes without a line in CODES: {missing:?}");
        for code in [
            RefusalCode::UnknownService,
            RefusalCode::WrongState,
            RefusalCode::Quarantined,
            RefusalCode::NoTarget,
            RefusalCode::Stale,
            RefusalCode::Busy,
            RefusalCode::NotPermitted,
            RefusalCode::FileDecides,
            RefusalCode::NotReady,
            RefusalCode::NotDurable,
            RefusalCode::Stopping,
        ] {
            assert!(of(code.as_str()).is_some(), "{}", code.as_str());
        }
    }

    /// The page for people says the same, word for word.
    #[test]
    fn every_code_is_documented_and_no_other() {
        let page = include_str!("../../docs/reference/admin-api.md");
        let table = page.split_once("## Problems").unwrap().1.split_once("\n## ").unwrap().0;
        let mut documented: Vec<&str> = table.lines().filter(|it| it.starts_with("| `")).collect();
        let mut known: Vec<String> = CODES
            .iter()
            .map(|(code, status, meaning)| format!("| `{code}` | {status} | {meaning} |"))
            .collect();
        documented.sort_unstable();
        known.sort_unstable();
        assert_eq!(documented, known);
    }

    #[test]
    fn none_is_listed_twice() {
        for (at, (code, ..)) in CODES.iter().enumerate() {
            assert_eq!(CODES.iter().position(|it| it.0 == *code), Some(at), "{code}");
        }
    }
}
