//! `tidegate man`: manual pages, made from what can be typed.

use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;

use super::arguments::Arguments;
use super::terminal::Terminal;
use super::{Failure, Outcome, exit};

/// Arguments of `man`.
#[derive(Args, Clone, Debug)]
pub struct ManArgs {
    /// Write tidegate.1 and a page for each verb there; the directory is made if it is missing
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Prints the page of the program, or writes all pages.
pub fn man(args: &ManArgs, terminal: &mut Terminal) -> Outcome {
    let pages = pages();
    let Some(directory) = &args.out else {
        let main = pages.first().expect("the program has a page");
        terminal.print(&rendered(main)?)?;
        terminal.next(&["tidegate man --out /usr/local/share/man/man1".into()]);
        return Ok(exit::DONE);
    };
    let failed = |what: &Path, error: std::io::Error| {
        Failure::new(exit::FAILED, format!("cannot write `{}`: {error}", what.display()))
    };
    std::fs::create_dir_all(directory).map_err(|it| failed(directory, it))?;
    for page in &pages {
        let path = directory.join(page.get_filename());
        std::fs::write(&path, rendered(page)?).map_err(|it| failed(&path, it))?;
        terminal.print_line(&path.display().to_string())?;
    }
    let first = directory.join("tidegate.1");
    terminal.next(&[format!("man {}", first.display())]);
    Ok(exit::DONE)
}

/// The page of the program, then those of its verbs.
fn pages() -> Vec<Man> {
    let mut program = Arguments::command().disable_help_subcommand(true);
    program.build();
    // Built, each knows that it is called `tidegate-VERB` on paper and `tidegate VERB` at the prompt.
    let verbs: Vec<Command> = program.get_subcommands().filter(|it| !it.is_hide_set()).cloned().collect();
    std::iter::once(program).chain(verbs).map(made).collect()
}

fn made(command: Command) -> Man {
    Man::new(command).manual("tidegate").source(concat!("tidegate ", env!("CARGO_PKG_VERSION"))).date("")
}

fn rendered(page: &Man) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    page.render(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_has_a_page_that_names_its_flags() {
        let pages = pages();
        for verb in Arguments::command().get_subcommands() {
            let name = format!("tidegate-{}.1", verb.get_name());
            let page = pages.iter().find(|it| it.get_filename() == name);
            let text = rendered(page.unwrap_or_else(|| panic!("{name}"))).unwrap();
            for flag in verb.get_arguments().filter_map(|it| it.get_long()) {
                // A dash is written `\-` there.
                let written = format!("\\-\\-{}", flag.replace('-', "\\-"));
                assert!(text.contains(&written), "{name}: {flag}\n{text}");
            }
        }
        assert!(rendered(&pages[0]).unwrap().contains("tidegate\\-rollback(1)"));
    }
}
