//! The habits of the house: what every file does, whichever room it is in.

use super::source::{self, Source, has_word};

/// Longest file, and longest `mod tests` at the end of one. Beyond it a file is usually about two nouns.
const LINES_MAX: usize = 400;

/// Longest file of scenarios: each shows a whole exchange, and stands for itself.
const SCENARIOS_MAX: usize = 800;

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
    let sources = ["src", "tests", "benches", "examples", "fuzz/src", "fuzz/fuzz_targets"];
    let sources = sources.into_iter().flat_map(source::under);
    assert_none("parts of files over the limit", sources.filter_map(|it| too_long(&it)));
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

    let lines = |count: usize| "fn f() {}\n".repeat(count);
    let long = lines(LINES_MAX + 1);
    let tests = |count| format!("#[cfg(test)]\nmod tests {{\n{}}}\n", lines(count));
    assert!(too_long(&planted(&long)).is_some());
    assert!(too_long(&Source::planted("src/x/tests.rs", &long)).is_some());
    assert!(too_long(&Source::planted("src/x/tests/y.rs", &long)).is_some());
    assert!(too_long(&planted(&format!("#[cfg(test)]\nmod tests;\n{long}"))).is_some());
    assert!(too_long(&planted(&format!("#[cfg(test)]\nuse it;\n{long}"))).is_some());
    assert!(too_long(&planted(&format!("{}{long}", tests(1)))).is_some());
    assert!(too_long(&planted(&tests(LINES_MAX))).is_some());
    assert_eq!(too_long(&planted(&(lines(LINES_MAX) + &tests(LINES_MAX - 3)))), None);
    assert_eq!(too_long(&Source::planted("tests/x.rs", &long)), None);
    assert!(too_long(&Source::planted("tests/x.rs", &lines(SCENARIOS_MAX + 1))).is_some());
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

/// Says so where a file, or the tests at its end, are longer than they may be.
fn too_long(source: &Source) -> Option<String> {
    let most = if source.path.starts_with("tests/") { SCENARIOS_MAX } else { LINES_MAX };
    let lines: Vec<&str> = source.text.lines().collect();
    let begins = |it: &[&str]| it == ["#[cfg(test)]", "mod tests {"];
    let code = lines.windows(2).position(begins).unwrap_or(lines.len());
    let ends = lines.iter().rposition(|it| !it.is_empty()).map_or(0, |it| it + 1);
    // Whatever follows the tests counts with them.
    let (tests, longest) = (ends.saturating_sub(code), code.max(ends.saturating_sub(code)));
    (longest > most).then(|| format!("{}: {code} lines, and {tests} of tests", source.path))
}
