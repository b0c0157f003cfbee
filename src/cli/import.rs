//! `tidegate import`: a first file out of those of another proxy or release controller.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::import::{self, Imported, Remark, RemarkKind, Source};
use clap::{Args, ValueEnum};

use super::arguments::Global;
use super::printed::{ImportJson, RemarkJson};
use super::terminal::Terminal;
use super::{Failure, Outcome, exit};

/// Arguments of `import`.
#[derive(Args, Clone, Debug)]
pub struct ImportArgs {
    /// The files, or `-` for standard input: `nginx -T | tidegate import -`
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// What they are written for [default: what they look like]
    #[arg(long, value_enum)]
    pub from: Option<Format>,
    /// Fail if anything was refused; the file is printed all the same
    #[arg(long)]
    pub strict: bool,
}

/// What files are written for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Format {
    /// `upstream`, `split_clients`, `server`, `location`
    Nginx,
    /// Frontends, backends, weights of servers
    Haproxy,
    /// HTTPRoute of the Gateway API, Rollout of Argo, Canary of Flagger
    Kubernetes,
}

/// Prints the file; what is not in it, or acts differently, goes to standard error with its line.
pub fn import(global: &Global, args: &ImportArgs, terminal: &mut Terminal) -> Outcome {
    let texts = args.files.iter().map(|it| read(it)).collect::<Result<Vec<String>, Failure>>()?;
    let names: Vec<String> = args.files.iter().map(|it| shown(it)).collect();
    let sources: Vec<Source<'_>> =
        names.iter().zip(&texts).map(|(name, text)| Source { name, text }).collect();
    let format = match args.from {
        Some(Format::Nginx) => import::Format::Nginx,
        Some(Format::Haproxy) => import::Format::HaProxy,
        Some(Format::Kubernetes) => import::Format::Kubernetes,
        None => sources.iter().copied().find_map(import::Format::guess).ok_or_else(|| {
            let failure =
                Failure::new(exit::USAGE, format!("`{}` looks like none of those that are read", names[0]));
            failure.hint("say what it is: --from nginx, --from haproxy or --from kubernetes")
        })?,
    };
    let imported = import::read(format, &sources).map_err(|it| Failure::new(exit::FAILED, it.to_string()))?;
    if terminal.json {
        terminal.print_json(&as_json(&imported, format, &names))?;
    } else {
        print(&imported, format, &names, global.verbose > 0, terminal)?;
    }
    if imported.file.is_none() {
        return Err(Failure::new(exit::FAILED, "no service was found in it"));
    }
    let refused = imported.remarks.iter().any(|it| it.kind == RemarkKind::Refused);
    Ok(if args.strict && refused { exit::FAILED } else { exit::DONE })
}

fn print(
    imported: &Imported,
    format: import::Format,
    names: &[String],
    verbose: bool,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    if let Some(file) = &imported.file {
        let counts = counted(&imported.remarks);
        terminal.print_line(&format!("# From {} ({}): {counts}.", names.join(", "), format.as_str()))?;
        terminal.print(&file.yaml())?;
    }
    let worth = |it: &&Remark| verbose || it.kind != RemarkKind::Needless;
    for it in imported.remarks.iter().filter(worth) {
        let place = format!("{}:{}", names.get(it.file).map_or("?", String::as_str), it.line);
        terminal.note(&format!("{place}: {}: {}: {}", it.kind.as_str(), it.what, it.why));
    }
    if imported.file.is_some() {
        terminal.note(&counted(&imported.remarks));
        terminal.next(&["tidegate check".into(), "tidegate run".into()]);
    }
    Ok(())
}

fn counted(remarks: &[Remark]) -> String {
    let count = |kind| remarks.iter().filter(|it| it.kind == kind).count();
    format!(
        "{} refused, {} that act differently, {} not needed here",
        count(RemarkKind::Refused),
        count(RemarkKind::Differs),
        count(RemarkKind::Needless)
    )
}

fn as_json(imported: &Imported, format: import::Format, names: &[String]) -> ImportJson {
    let remark = |it: &Remark| RemarkJson {
        file: names.get(it.file).cloned(),
        line: it.line,
        kind: it.kind.as_str(),
        what: it.what.clone(),
        why: it.why.clone(),
    };
    ImportJson {
        from: format.as_str(),
        yaml: imported.file.as_ref().map(|it| it.yaml()),
        remarks: imported.remarks.iter().map(remark).collect(),
    }
}

fn shown(path: &Path) -> String {
    if path.as_os_str() == "-" { "standard input".into() } else { path.display().to_string() }
}

fn read(path: &Path) -> Result<String, Failure> {
    let failed =
        |error: std::io::Error| Failure::new(exit::FAILED, format!("cannot read `{}`: {error}", shown(path)));
    let mut bytes = Vec::new();
    if path.as_os_str() == "-" {
        std::io::stdin().take(BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        std::fs::File::open(path)
            .and_then(|it| it.take(BYTES_MAX).read_to_end(&mut bytes))
            .map_err(failed)?;
    }
    // Comments in other encodings are common; what matters is ASCII.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Beyond what a file may have, so that one that is too large is told from one that is not.
const BYTES_MAX: u64 = 9 * 1024 * 1024;
