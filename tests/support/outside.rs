//! Programs from outside that tests drive the real thing with.
//!
//! Whoever has none of them can still run all tests: what needs one says that it is skipped. With
//! `TIDEGATE_TOOLS=required` in the environment, as in a complete run, a missing program is a failure.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The program called `name`, if it is there.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    let found = std::env::split_paths(&path).chain(system).map(|it| it.join(name)).find(|it| it.is_file());
    found.or_else(|| missing(name))
}

/// A Python interpreter that can import all of `modules`. `TIDEGATE_PYTHON` names another than `python3`.
pub fn python(modules: &[&str]) -> Option<PathBuf> {
    let python = match std::env::var_os("TIDEGATE_PYTHON") {
        Some(named) => PathBuf::from(named),
        None => program("python3")?,
    };
    let imports = format!("import {}", modules.join(", "));
    let mut asked = Command::new(&python);
    let asked = asked.arg("-c").arg(&imports).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if asked.is_ok_and(|it| it.success()) { Some(python) } else { missing(&modules.join(" and ")) }
}

fn missing<T>(what: &str) -> Option<T> {
    assert!(
        std::env::var_os("TIDEGATE_TOOLS").is_none_or(|it| it != "required"),
        "{what} is not here, and TIDEGATE_TOOLS says that it must be"
    );
    eprintln!("skipped: {what} is not here");
    None
}
