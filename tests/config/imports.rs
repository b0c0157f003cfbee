//! Files of other tools, with the file of ours and the remarks that come of them.

use std::fmt::Write as _;
use std::path::Path;

use tidegate::config::{self, MemoryFiles};
use tidegate::import::{Format, Imported, Source, read};

/// The problems of what was made, TLS aside.
pub fn problems_of(imported: &Imported) -> Vec<String> {
    let Some(file) = &imported.file else { return Vec::new() };
    let yaml = file.yaml();
    let files = MemoryFiles::new().with("made.yaml", yaml.clone());
    let loaded = config::load(Path::new("made.yaml"), &files);
    let errors = loaded.problems.iter().filter(|it| it.severity == config::Severity::Error);
    // TG06..: certificates, which lie elsewhere, and authorities, which this system believes.
    let real = errors.filter(|it| !it.code.as_str().starts_with("TG06"));
    real.map(|it| format!("{}: {} in\n{yaml}", it.code, it.message)).collect()
}

fn shown(names: &[&str], imported: &Imported) -> String {
    let mut out = imported.file.as_ref().map_or_else(|| "nothing\n".into(), |it| it.yaml());
    out.push('\n');
    for it in &imported.remarks {
        let _ =
            writeln!(out, "{}:{}: {}: {}: {}", names[it.file], it.line, it.kind.as_str(), it.what, it.why);
    }
    out
}

/// Files as people write them: compares with `imports/NAME.out`; `UPDATE=1` writes it.
#[test]
fn fixtures_become_what_is_written_beside_them() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/imports");
    let mut inputs: Vec<_> = std::fs::read_dir(&directory).unwrap().map(|it| it.unwrap().path()).collect();
    inputs.retain(|it| it.extension().is_some_and(|it| it != "out"));
    inputs.sort();
    assert!(inputs.len() >= 6, "{inputs:?}");
    for path in inputs {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let source = Source { name, text: &text };
        let format = Format::guess(source).unwrap_or_else(|| panic!("{name} looks like nothing"));
        let expected = if name.ends_with("cfg") {
            Format::HaProxy
        } else if name.ends_with("yaml") {
            Format::Kubernetes
        } else {
            Format::Nginx
        };
        assert_eq!(format, expected, "{name}");
        let imported = read(format, &[source]).unwrap();
        assert_eq!(problems_of(&imported), Vec::<String>::new(), "{name}");
        let out = path.with_file_name(format!("{name}.out"));
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&out, shown(&[name], &imported)).unwrap();
        }
        assert_eq!(shown(&[name], &imported), std::fs::read_to_string(&out).unwrap(), "{name}");
    }
}
