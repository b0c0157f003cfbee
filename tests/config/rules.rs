//! One fixture for each rule: files, then the message that they lead to.

use std::collections::BTreeSet;
use std::path::Path;

use tidegate::config::{Code, MemoryFiles, explain, load};

/// Every fixture leads to exactly the message that it names.
#[test]
fn every_rule_has_its_message() {
    for path in super::files_of("tests/config/rules", "txt") {
        let text = super::read(&path);
        let (given, _) = text.split_once(EXPECTED).expect("a fixture ends with what is expected");
        let loaded = load(Path::new("tidegate.yaml"), &files(given));
        let shown = loaded.problems.render_human(false);
        assert_eq!(loaded.config.is_none(), loaded.problems.has_errors(), "{}", path.display());
        super::matches_file(&path, &format!("{given}{EXPECTED}{shown}"));
    }
}

#[test]
fn every_code_has_a_fixture_and_a_long_text() {
    let mut seen = BTreeSet::new();
    for path in super::files_of("tests/config/rules", "txt") {
        let text = super::read(&path);
        let given = text.split(EXPECTED).next().unwrap_or_default();
        let loaded = load(Path::new("tidegate.yaml"), &files(given));
        seen.extend(loaded.problems.iter().map(|it| it.code));
    }
    let missing: Vec<_> = Code::ALL.iter().filter(|it| !seen.contains(it)).collect();
    assert!(missing.is_empty(), "codes without a fixture: {missing:?}");
    assert!(Code::ALL.iter().all(|it| explain(it.as_str()).is_some_and(|it| it.len() > 80)));
}

#[test]
fn machine_readable_forms() {
    let files = MemoryFiles::new()
        .with("a,b.yaml", "listen: 8080\nservices: {shop: {live: v2, versions: {v1: http://h}}}\n");
    let problems = load(Path::new("a,b.yaml"), &files).problems;
    let json = problems.render_json();
    assert_eq!(json["errors"], 1);
    let problem = &json["problems"][0];
    assert_eq!(problem["code"], "TG0203");
    assert_eq!(
        (&problem["file"], &problem["line"], &problem["column"]),
        (&"a,b.yaml".into(), &2.into(), &25.into())
    );
    assert_eq!(problem["related"]["line"], 2);
    assert_eq!(
        problems.render_github(),
        "::error file=a%2Cb.yaml,line=2,col=25,title=TG0203::`live` names a version that does not exist\
         %0Ahelp: did you mean `v1`?\n"
    );
    assert!(problems.render_human(true).contains("\u{1b}["));
}

const EXPECTED: &str = "=== expected\n";

/// The files of a fixture.
pub fn given(text: &str) -> MemoryFiles {
    files(text.split(EXPECTED).next().unwrap_or_default())
}

/// `=== name` begins a file.
fn files(given: &str) -> MemoryFiles {
    let mut files = MemoryFiles::new();
    for part in given.split("=== ").filter(|it| !it.is_empty()) {
        let (name, content) = part.split_once('\n').expect("a name stands on a line of its own");
        files = files.with(name, content);
    }
    files
}
