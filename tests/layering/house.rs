//! The habits of the house: what every file does, whichever room it is in.

use super::source::{self, Source, has_word};

/// Longest file, not counting its tests. Beyond it a file is usually about two nouns.
const LINES_MAX: usize = 400;

/// Files that are longer, and why.
const LONGER: &[(&str, &str)] =
    &[("src/controller/core.rs", "inputs in, effects out: the order of the two is read in one place")];

/// Promises instead of code, leftovers of debugging, and tests that do not run.
const UNFINISHED: &[&str] = &["todo!", "unimplemented!", "dbg!", "#[ignore"];

#[test]
fn every_file_says_what_it_is_for() {
    let broken = all().into_iter().filter(|it| !opens_with_docs(it)).map(|it| it.path);
    assert_none("files without `//!` at the top", broken);
}

#[test]
fn nothing_is_left_unfinished() {
    assert_none("unfinished", all_but_planted().flat_map(|it| unfinished_in(&it)));
}

#[test]
fn every_relaxation_has_a_reason() {
    assert_none("`allow` without a reason", all_but_planted().flat_map(|it| allowed_without_reason(&it)));
}

#[test]
fn files_are_about_one_noun() {
    let long: Vec<(String, usize)> = source::under("src")
        .into_iter()
        .map(|it| (it.path.clone(), lines_before_tests(&it)))
        .filter(|it| it.1 > LINES_MAX)
        .collect();
    let unlisted = long.iter().filter(|it| LONGER.iter().all(|(path, _)| *path != it.0));
    assert_none("files over the limit", unlisted.map(|(path, lines)| format!("{path}: {lines}")));
    let stale = LONGER.iter().filter(|(path, _)| long.iter().all(|it| it.0 != *path));
    assert_none("exceptions no longer needed", stale.map(|it| it.0.to_owned()));
}

#[test]
fn planted_habits_are_found() {
    let planted = |text: &str| Source::planted("src/x.rs", text);
    assert!(!opens_with_docs(&planted("use std::fmt;\n//! Late.")));
    assert!(!opens_with_docs(&planted("// Not for the documentation.")));
    assert!(opens_with_docs(&planted("#!/usr/bin/env rustx\n//! A tool.")));

    for text in ["    todo!()", "unimplemented!(\"later\")", "#[ignore]", "#[ignore = \"slow\"]", "dbg!(it);"]
    {
        assert_eq!(unfinished_in(&planted(text)).len(), 1, "{text}");
    }
    assert!(unfinished_in(&planted("// No todo!() here.\nlet methodo = ignore(it);")).is_empty());

    for text in ["#[allow(dead_code)]", "#![allow(\n    dead_code,\n)]", "#[expect(unused)]"] {
        assert_eq!(allowed_without_reason(&planted(text)).len(), 1, "{text}");
    }
    let reasoned = "#[allow(\n    dead_code,\n    reason = \"read by a macro\"\n)]\nfn allow(it: u8) {}";
    assert!(allowed_without_reason(&planted(reasoned)).is_empty());

    let long = "fn f() {}\n".repeat(LINES_MAX + 1);
    assert!(lines_before_tests(&planted(&long)) > LINES_MAX);
    let tested = format!("{}#[cfg(test)]\nmod tests {{\n{long}}}", "//! x\n".repeat(LINES_MAX));
    assert_eq!(lines_before_tests(&planted(&tested)), LINES_MAX);
    assert_eq!(lines_before_tests(&Source::planted("src/x/tests.rs", &long)), 0);
    assert_eq!(lines_before_tests(&Source::planted("src/x/tests/y.rs", &long)), 0);
}

fn all() -> Vec<Source> {
    ["src", "tests", "benches"].into_iter().flat_map(source::under).collect()
}

/// What is refused is written down in these files, as a list and as planted texts.
fn all_but_planted() -> impl Iterator<Item = Source> {
    all().into_iter().filter(|it| !it.path.starts_with("tests/layering"))
}

#[track_caller]
fn assert_none(what: &str, broken: impl Iterator<Item = String>) {
    let broken: Vec<String> = broken.collect();
    assert!(broken.is_empty(), "{what}:\n{}", broken.join("\n"));
}

fn opens_with_docs(source: &Source) -> bool {
    source.text.lines().find(|it| !it.starts_with("#!")).is_some_and(|it| it.starts_with("//! "))
}

fn unfinished_in(source: &Source) -> Vec<String> {
    let broken = source.code().filter(|(_, code)| UNFINISHED.iter().any(|it| has_word(code, it)));
    broken.map(|(line, code)| format!("{}:{line}: {}", source.path, code.trim())).collect()
}

fn allowed_without_reason(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for opening in ["[allow(", "[expect("] {
        for (at, _) in source.text.match_indices(opening) {
            let attribute = source.text[at..].split(']').next().unwrap_or_default();
            let in_attribute = source.text[..at].ends_with(['#', '!']);
            if in_attribute && !attribute.contains("reason = ") {
                let line = source.text[..at].lines().count();
                found.push(format!("{}:{line}: {attribute}]", source.path));
            }
        }
    }
    found
}

fn lines_before_tests(source: &Source) -> usize {
    if source.path.ends_with("/tests.rs") || source.path.contains("/tests/") {
        return 0;
    }
    source.text.lines().take_while(|it| *it != "#[cfg(test)]").count()
}
