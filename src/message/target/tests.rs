//! What is matched and what is forwarded.

use proptest::prelude::*;

use super::*;

const KEEP: TargetRules = TargetRules { escaped_slashes: EscapedSlashes::Keep, merge_slashes: false };
const REJECT: TargetRules = TargetRules { escaped_slashes: EscapedSlashes::Reject, merge_slashes: false };
const DECODE: TargetRules = TargetRules { escaped_slashes: EscapedSlashes::Decode, merge_slashes: false };
const MERGE: TargetRules = TargetRules { escaped_slashes: EscapedSlashes::Keep, merge_slashes: true };

/// What `path` is compared and forwarded as.
fn resolve(path: &str, rules: &TargetRules) -> Result<(String, String), Refusal> {
    let head = RequestHead { path: Span::new(0..path.len()), ..RequestHead::default() };
    let mut target = Target::default();
    target.resolve(&head, path.as_bytes(), rules)?;
    Ok((target.path().to_owned(), target.forwarded(path.as_bytes()).to_owned()))
}

#[test]
fn the_path_that_is_matched_is_the_path_that_is_forwarded() {
    for (path, rules, matched, forwarded) in [
        ("/", KEEP, "/", "/"),
        ("/a/b", KEEP, "/a/b", "/a/b"),
        ("/a/", KEEP, "/a/", "/a/"),
        ("//a", KEEP, "//a", "//a"),
        ("//a", MERGE, "/a", "/a"),
        ("/a///b//", MERGE, "/a/b/", "/a/b/"),
        ("/%61%7E", KEEP, "/a~", "/%61%7E"),
        ("/%c3%a9", KEEP, "/%C3%A9", "/%c3%a9"),
        ("/./a", KEEP, "/a", "/a"),
        ("/a/.", KEEP, "/a/", "/a/"),
        ("/a/..", KEEP, "/", "/"),
        ("/a/../b", KEEP, "/b", "/b"),
        ("/a/%2e%2E/b", KEEP, "/b", "/b"),
        ("/a/.%2e/%61", KEEP, "/a", "/a"),
        ("/a//../b", KEEP, "/a/b", "/a/b"),
        ("/a//../b", MERGE, "/b", "/b"),
        ("/.a/..b/c..", KEEP, "/.a/..b/c..", "/.a/..b/c.."),
        ("/a%2fb", KEEP, "/a%2Fb", "/a%2fb"),
        ("/a%2f..%2fb", KEEP, "/a%2F..%2Fb", "/a%2f..%2fb"),
        ("/a%2fb", DECODE, "/a/b", "/a/b"),
        ("/a%2f..%2fb", DECODE, "/b", "/b"),
        ("/a%2f%2fb", TargetRules { merge_slashes: true, ..DECODE }, "/a/b", "/a/b"),
        ("/a;x=1/b", KEEP, "/a;x=1/b", "/a;x=1/b"),
        ("/a%5cb", KEEP, "/a%5Cb", "/a%5cb"),
        ("/a%3Fb%23c", KEEP, "/a%3Fb%23c", "/a%3Fb%23c"),
        ("", KEEP, "/", "/"),
    ] {
        let expected = Ok((matched.to_owned(), forwarded.to_owned()));
        assert_eq!(resolve(path, &rules), expected, "{path} {rules:?}");
    }
}

#[test]
fn paths_without_an_honest_use_are_refused() {
    for (path, rules) in [
        ("/..", KEEP),
        ("/../a", KEEP),
        ("/a/../../b", KEEP),
        ("/%2e%2e/a", KEEP),
        ("/a%2f..%2f..%2fb", DECODE),
        ("/a%00", KEEP),
        ("/a%", KEEP),
        ("/a%2", KEEP),
        ("/a%zz", KEEP),
        ("/a%+1", KEEP),
        ("/a\\b", KEEP),
        ("/a%2fb", REJECT),
        ("/a%5Cb", REJECT),
        ("/a/..;/b", KEEP),
        ("/a/.;x/b", KEEP),
        ("/a/%2e.;x", KEEP),
    ] {
        assert_eq!(resolve(path, &rules), Err(Refusal::BadPath), "{path} {rules:?}");
    }
}

#[test]
fn hosts_are_compared_in_lower_case_without_port_and_last_dot() {
    let buf = b"Shop.TEST.:8080";
    let host =
        crate::message::Authority { whole: Span::new(0..15), name: Span::new(0..10), port: Some(8080) };
    let mut target = Target::default();
    target.resolve(&RequestHead { host, ..RequestHead::default() }, buf, &KEEP).unwrap();
    assert_eq!((target.host(), target.port()), ("shop.test", Some(8080)));
}

proptest! {
    /// A second reader, or the upstream normalising once more, comes to the same path.
    #[test]
    fn normalising_twice_is_normalising_once(
        path in "(/|%2[fFeE]|%41|\\.|[a-z;]|%c3){0,14}",
        merge_slashes: bool,
        slashes in prop::sample::select(vec![EscapedSlashes::Keep, EscapedSlashes::Reject, EscapedSlashes::Decode]),
    ) {
        let rules = TargetRules { escaped_slashes: slashes, merge_slashes };
        if let Ok((matched, forwarded)) = resolve(&format!("/{path}"), &rules) {
            prop_assert_eq!(resolve(&matched, &rules).unwrap(), (matched.clone(), matched.clone()));
            prop_assert_eq!(resolve(&forwarded, &rules).unwrap(), (matched, forwarded));
        }
    }
}
