//! Routes that can never win, and expressions that cannot be compiled, are reported all at once.

use super::super::pattern::PathPattern;
use super::{RouteProblem, build, parse_routes};

/// Compares the problems, written as `name by name` or `name: message`.
#[track_caller]
fn check(routes: &str, expected: &str) {
    let (names, matches) = parse_routes(routes);
    let problems = build(matches).err().unwrap_or_default();
    let text = problems.iter().map(|it| match it {
        RouteProblem::Unreachable { route, by } => format!("{} by {}", names[*route], names[*by]),
        RouteProblem::Regex { route, message } => format!("{}: {message}", names[*route]),
    });
    assert_eq!(text.collect::<Vec<_>>().join(", "), expected);
}

#[test]
fn the_same_again() {
    check("a: * /\n b: * /", "b by a");
    check("a: * /\n b: * /\n c: * /", "b by a, c by a");
    check("a: * /api\n b: * /api/", "b by a");
    check("a: * =/api\n b: * =/api/", "");
    check("a: * /api\n b: * =/api", "");
    check("a: * ~x\n b: * ~x\n c: * ~xx", "b by a");
    check("a: H.test /\n b: h.test. /", "b by a");
    check("a: * / x-a:1 x-b:2\n b: * / X-B:2 X-A:1", "b by a");
}

#[test]
fn hidden_under_every_host_or_not_at_all() {
    check("a: a.test,b.test /\n b: b.test /", "b by a");
    check("a: b.test /\n b: a.test,b.test /", "");
    check("a: a.test /\n b: b.test /\n c: b.test,a.test /", "c by a");
    check("a: * /\n b: b.test /", "");
    check("a: *.test /\n b: b.test /\n c: *.test /", "c by a");
}

#[test]
fn hidden_by_a_route_that_asks_no_more() {
    check("a: * / GET,POST\n b: * / POST", "b by a");
    check("a: * / POST\n b: * / GET,POST", "");
    check("a: * /\n b: * / GET", "");
    check("a: * / x-a:*\n b: * / x-a:1", "b by a");
    check("a: * / x-a:1\n b: * / x-a:*", "");
    check("a: * / x-a:1\n b: * / x-a:2", "");
    check("a: * / ?p=*\n b: * / ?p=1", "b by a");
    check("a: * / GET x-a:*\n b: * / GET x-a:1", "b by a");
}

#[test]
fn bad_expressions() {
    check(
        "a: * ~(\n b: * /\n c: * ~[z-a]\n d: * /",
        "a: not a regular expression: unclosed group, \
         c: not a regular expression: invalid character class range, \
            the start must be <= the end, \
         d by b",
    );
    check("a: * ~(x{100}){100}", "a: the regular expression is too large when compiled (at most 256 KiB)");
    check(
        "a: * ~(?<=x)y",
        "a: not a regular expression: look-around, including look-ahead and look-behind, is not supported",
    );
}

#[test]
fn too_many_expressions_for_one_host() {
    for (regex, count) in [("^/{}/(x|[0-9]y){1,200}$", 1_000), ("/{}/(x|[0-9]y){1,200}$", 100)] {
        let routes = (0..count).map(|at| format!("r{at}: * ~{}", regex.replace("{}", &at.to_string())));
        let (_, matches) = parse_routes(&routes.collect::<Vec<_>>().join("\n"));
        let problems = build(matches).expect_err("together they are too large");
        assert_eq!(problems.len(), 1);
        assert!(problems[0].to_string().starts_with("with the other regular expressions of its host"));
    }
}

/// Nested repetition is what makes a backtracking engine hang.
#[test]
fn nested_repetition_takes_linear_time() {
    let pattern = PathPattern::new("^/(a+)+$").expect("it is valid");
    let path = format!("/{}!", "a".repeat(8_000));
    assert_eq!(pattern.find(&path), None);
    assert_eq!(pattern.find("/aaa"), Some((0, 4)));
}
