//! The configuration as operators meet it: one fixture for each rule with the message that they see,
//! and every example of `config/`.
//!
//! Only here, and not beside the code, because these read real files. `UPDATE=1` writes what is expected
//! anew; look at the difference before committing it.

mod certs;
mod examples;
mod imports;
mod reference;
mod rules;
mod strange_imports;
mod validator;

use std::fs;
use std::path::{Path, PathBuf};

/// A path inside the package.
fn package(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files of a directory with this extension, sorted.
fn files_of(directory: &str, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(package(directory)).expect("the directory is part of the package");
    let paths = entries.map(|it| it.expect("readable").path());
    let mut files: Vec<PathBuf> =
        paths.filter(|it| it.extension().is_some_and(|it| it == extension)).collect();
    files.sort();
    files
}

/// Compares `actual` with the file at `path`, or writes it there when `UPDATE` is set.
#[track_caller]
fn matches_file(path: &Path, actual: &str) {
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, actual).expect("writable");
        return;
    }
    let expected = read(path);
    assert!(expected == actual, "{} differs; now it is:\n{actual}", path.display());
}
