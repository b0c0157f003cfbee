//! Where output goes, and whether it may be coloured.

use std::env;
use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::arguments::{ColorChoice, Global};
use super::printable;

/// Standard output and standard error, or what stands for them in a test.
pub struct Terminal {
    out: Box<dyn Write>,
    err: Box<dyn Write>,
    /// Colours of the output.
    pub paint: Paint,
    paint_err: Paint,
    /// `--json`.
    pub json: bool,
    quiet: bool,
    /// Whether a person sees the output, so that it may be drawn over.
    pub interactive: bool,
    /// Whether a person can be asked.
    pub can_ask: bool,
    /// What the next command needs to mean the same server.
    suffix: String,
}

/// Colours, or none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Paint(bool);

impl Terminal {
    /// The one of this process.
    pub fn of_process(global: &Global) -> Self {
        let (out, err) = (io::stdout(), io::stderr());
        let interactive = out.is_terminal();
        Self {
            paint: Paint(colored(global.color, interactive, &env_is_set)),
            paint_err: Paint(colored(global.color, err.is_terminal(), &env_is_set)),
            out: Box::new(out),
            err: Box::new(err),
            json: global.json,
            quiet: global.quiet,
            interactive,
            can_ask: io::stdin().is_terminal() && interactive,
            suffix: suffix(global),
        }
    }

    /// One that writes elsewhere, without colours and without a person.
    pub fn onto(out: Box<dyn Write>, err: Box<dyn Write>, global: &Global) -> Self {
        let (paint, paint_err) = (Paint(false), Paint(false));
        let (json, quiet) = (global.json, global.quiet);
        Self {
            out,
            err,
            paint,
            paint_err,
            json,
            quiet,
            interactive: false,
            can_ask: false,
            suffix: suffix(global),
        }
    }

    /// Writes data.
    pub fn print(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// Writes a line of data.
    pub fn print_line(&mut self, text: &str) -> io::Result<()> {
        self.print(&format!("{text}\n"))
    }

    /// Writes progress, unless it is not wanted.
    pub fn note(&mut self, text: &str) {
        self.say(&printable::lines(text));
    }

    fn say(&mut self, painted: &str) {
        if !self.quiet {
            // Progress that nobody can see is no reason to fail.
            let _ = writeln!(self.err, "{painted}");
        }
    }

    /// Writes a question, without ending the line.
    pub fn ask(&mut self, text: &str) {
        let _ = write!(self.err, "{}", printable::lines(text));
        let _ = self.err.flush();
    }

    /// Prints a line of JSON.
    pub fn print_json(&mut self, it: &impl Serialize) -> io::Result<()> {
        self.print_line(&serde_json::to_string(it).expect("string keys and finite depth"))
    }

    /// Says what one may do next, unless a program is reading.
    pub fn next(&mut self, commands: &[String]) {
        if !commands.is_empty() && !self.json {
            let whole =
                |it: &String| if it.contains(" -c ") { it.clone() } else { format!("{it}{}", self.suffix) };
            let line = format!("Next: {}", commands.iter().map(whole).collect::<Vec<_>>().join(" · "));
            let line = self.paint_err.dim(&printable::line(&line));
            self.say(&line);
        }
    }

    /// Writes `error: …`, `hint: …`.
    pub fn complain(&mut self, kind: &str, text: &str) {
        let painted = match kind {
            "error" => self.paint_err.red(kind),
            _ => self.paint_err.bold(kind),
        };
        let _ = writeln!(self.err, "{painted}: {}", printable::lines(text));
    }

    /// Writes what belongs to a complaint and was drawn for a terminal, with its colours.
    pub fn illustrate(&mut self, drawn: &str) {
        let _ = writeln!(self.err, "{}", drawn.trim_end());
    }

    /// Colours of standard error.
    pub fn colors_err(&self) -> bool {
        self.paint_err.0
    }

    /// Colours of standard output.
    pub fn colors(&self) -> bool {
        self.paint.0
    }
}

impl Paint {
    /// For what matters most.
    pub fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    /// For what matters least.
    pub fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    /// For what is bad.
    pub fn red(self, text: &str) -> String {
        self.with("1;31", text)
    }

    /// For what is good.
    pub fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    /// For what needs an eye.
    pub fn yellow(self, text: &str) -> String {
        self.with("33", text)
    }

    /// For what is new.
    pub fn cyan(self, text: &str) -> String {
        self.with("36", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

fn suffix(global: &Global) -> String {
    let named = global.config.as_ref().map(|it| it.display().to_string());
    match named {
        Some(path) if path.contains(char::is_whitespace) => format!(" -c '{path}'"),
        Some(path) => format!(" -c {path}"),
        None => String::new(),
    }
}

/// Whether to colour: the flag first, then what people have agreed on.
fn colored(choice: ColorChoice, is_terminal: bool, is_set: &dyn Fn(&str) -> Option<String>) -> bool {
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        // no-color.org and bixense.com/clicolors: empty counts as not set.
        ColorChoice::Auto if is_set("NO_COLOR").is_some_and(|it| !it.is_empty()) => false,
        ColorChoice::Auto if is_set("CLICOLOR_FORCE").is_some_and(|it| !it.is_empty() && it != "0") => true,
        ColorChoice::Auto => is_terminal && is_set("TERM").is_none_or(|it| it != "dumb"),
    }
}

fn env_is_set(name: &str) -> Option<String> {
    env::var_os(name).map(|it| it.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_decides_about_colours() {
        let auto = ColorChoice::Auto;
        for (choice, is_terminal, set, expected) in [
            (auto, true, "", true),
            (auto, false, "", false),
            (auto, true, "NO_COLOR=1", false),
            (auto, true, "NO_COLOR=", true),
            (auto, true, "TERM=dumb", false),
            (auto, false, "CLICOLOR_FORCE=1", true),
            (auto, false, "CLICOLOR_FORCE=0", false),
            (ColorChoice::Always, false, "NO_COLOR=1", true),
            (ColorChoice::Never, true, "CLICOLOR_FORCE=1", false),
        ] {
            let is_set = |name: &str| {
                let (key, value) = set.split_once('=')?;
                (key == name).then(|| value.to_owned())
            };
            assert_eq!(colored(choice, is_terminal, &is_set), expected, "{choice:?} {is_terminal} {set}");
        }
    }
}
