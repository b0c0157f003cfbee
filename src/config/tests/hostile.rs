//! Files that are broken, huge or made to do harm: always problems, never a panic, always quickly.

use std::path::Path;

use proptest::prelude::*;

use super::super::{Code, MemoryFiles, load};
use super::{BLUE_GREEN, CANARY, good, load_text};

/// The codes of the problems of a file.
fn codes(text: impl Into<Vec<u8>>) -> Vec<Code> {
    load_text(text).problems.iter().map(|it| it.code).collect()
}

#[test]
fn alias_bomb() {
    let mut text = String::from("a: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..20 {
        let alias = format!("*a{}", level - 1);
        text.push_str(&format!("b{level}: &a{level} [{}]\n", [alias.as_str(); 10].join(", ")));
    }
    assert_eq!(codes(text), [Code::TooLarge]);
}

#[test]
fn aliases_within_the_budget_are_values() {
    let text = "
listen: 8080
services:
  a: {hosts: a.example.com, live: v1, versions: &v {v1: http://h1}, timeouts: &t {connect: 1s}}
  b: {hosts: b.example.com, live: v1, versions: *v, timeouts: *t}
";
    let config = good(text);
    assert_eq!(config.services[1].spec.timeouts.connect.as_secs(), 1);
    assert_eq!(codes("a: &a [*a]"), [Code::Syntax]);
}

#[test]
fn depth_and_size() {
    assert_eq!(codes("[".repeat(100_000)), [Code::TooLarge]);
    assert_eq!(codes("{a: ".repeat(100_000)), [Code::TooLarge]);
    assert_eq!(codes("- ".repeat(100_000)), [Code::TooLarge]);
    assert_eq!(codes(vec![b' '; 8 * 1024 * 1024 + 1]), [Code::TooLarge]);
}

#[test]
fn a_route_with_more_conditions_than_a_request_has_headers() {
    let conditions = |count: usize| (0..count).map(|it| format!("x-{it}: a, ")).collect::<String>();
    for key in ["header", "query"] {
        let route = |count| {
            format!("{BLUE_GREEN}routes: [{{match: {{{key}: {{{}}}}}, to: shop}}]\n", conditions(count))
        };
        assert_eq!(codes(route(100)), []);
        assert_eq!(codes(route(101)), [Code::Limit]);
        assert_eq!(codes(route(50_000)), [Code::Limit]);
    }
}

#[test]
fn not_a_text() {
    assert_eq!(codes("listen: 80\0"), [Code::Encoding]);
    assert_eq!(codes(b"listen: \xff\xfe".to_vec()), [Code::Encoding]);
    assert_eq!(codes("listen: \u{85}80"), [Code::Encoding]);
    assert_eq!(codes("listen: \u{202e}80"), [Code::Encoding]);
    // An escape brings a control character past the check of the file; fields refuse it themselves.
    assert!(codes("listen: \"80\\0\"").contains(&Code::Address));
}

#[test]
fn line_ends_marks_and_tabs() {
    let unix = format!("{:?}", good(BLUE_GREEN).services);
    assert_eq!(format!("{:?}", good(&BLUE_GREEN.replace('\n', "\r\n")).services), unix);
    assert_eq!(format!("{:?}", good(&format!("\u{feff}{BLUE_GREEN}")).services), unix);
    assert_eq!(format!("{:?}", good(&BLUE_GREEN.replace(": http", ":\thttp")).services), unix);
    assert_eq!(codes(BLUE_GREEN.replace("  ", "\t")), [Code::Syntax]);
    // Places are those of the file without its mark, and of lines with either end.
    let problems = load_text("\u{feff}listen: 8080\r\nservcies: {}\r\n").problems;
    let place = &problems.iter().next().unwrap().place;
    assert_eq!((place.line, place.column), (1, 1));
    let place = &problems.iter().nth(1).unwrap().place;
    assert_eq!((place.line, place.column), (2, 1));
}

#[test]
fn many_problems_are_counted_but_not_kept() {
    let mut text =
        String::from("listen: 8080\nservices:\n  shop:\n    live: v1\n    versions: {v1: http://h}\n");
    for index in 0..500 {
        text.push_str(&format!("    wrong{index}: x\n"));
    }
    let problems = load_text(text).problems;
    assert_eq!(problems.counts(), (500, 0));
    assert_eq!((problems.iter().count(), problems.omitted()), (100, 400));
    assert!(problems.render_human(false).contains("… and 400 more."));
}

/// Each of these would take minutes if a mistake cost more than the time to find it.
#[test]
fn a_large_file_of_mistakes_is_quick() {
    let lines = |line: &dyn Fn(usize) -> String| (0..30_000).map(line).collect::<String>();
    let head = "listen: 8080\nservices:\n";
    for text in [
        format!("{head}{}", lines(&|_| "  a: {}\n".into())),
        format!("{head}{}", lines(&|it| format!("  a{it}: x\n"))),
        format!("{head}  a:\n    live: v\n    versions:\n{}", lines(&|_| "    - x\n".into())),
        format!(
            "{head}  a:\n    live: v\n    versions:\n      v:\n{}",
            lines(&|_| "      - http://h\n".into())
        ),
        format!(
            "{head}  a: {{live: v, versions: {{v: http://h}}}}\nroutes:\n{}",
            lines(&|_| "- {to: x}\n".into())
        ),
    ] {
        let problems = load_text(text).problems;
        assert!(problems.render_human(false).contains("TG0"));
    }
}

#[test]
fn mistakes_below_an_alias_are_told_once() {
    let text = "
listen: 8080
services:
  a: {hosts: a.example.com, live: v1, versions: &v {v1: ftp://h1}}
  b: {hosts: b.example.com, live: v1, versions: *v}
";
    assert_eq!(codes(text), [Code::Scheme]);
}

#[test]
fn a_large_file_is_quick() {
    let mut text = String::from("listen: 8080\nservices:\n");
    for index in 0..2_000 {
        text.push_str(&format!(
            "  s{index}: {{hosts: s{index}.example.com, live: v1, versions: {{v1: http://h}}}}\n"
        ));
    }
    text.push_str("routes:\n");
    for index in 0..2_000 {
        text.push_str(&format!(
            "- {{match: {{host: s{index}.example.com, path: /a{index}}}, to: s{index}}}\n"
        ));
    }
    assert_eq!(good(&text).services.len(), 2_000);
}

/// A file with a few bytes changed: deeper than random bytes, which hardly ever are YAML.
fn changed() -> impl Strategy<Value = Vec<u8>> {
    let change =
        (any::<prop::sample::Index>(), prop::sample::select(b"\n :{}[]*&!|>-\"'#%,?@\t\0a0\xff".to_vec()));
    prop::collection::vec(change, 1..6).prop_map(|changes| {
        let mut bytes = CANARY.as_bytes().to_vec();
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_never_panic(bytes in prop_oneof![prop::collection::vec(any::<u8>(), 0..200), changed()]) {
        let files = MemoryFiles::new().with("a.yaml", bytes);
        let loaded = load(Path::new("a.yaml"), &files);
        prop_assert_eq!(loaded.config.is_none(), loaded.problems.has_errors());
        loaded.problems.render_human(true);
        loaded.problems.render_github();
        loaded.problems.render_json();
    }
}
