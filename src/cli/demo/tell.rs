//! What the audience sees: calm lines, and on a terminal one line that follows the traffic.

use std::time::Duration;

use super::super::terminal::{Paint, Terminal};
use super::super::text::{bar, grouped};
use super::ledger::Answer;

/// Writes to the terminal; with a program as the audience, to standard error.
pub(super) struct Teller<'a> {
    terminal: &'a mut Terminal,
    /// Whether standard output is kept for data.
    aside: bool,
    /// Whether the traffic line stands there, without an end.
    drawn: bool,
    /// Whether nobody can read it any more.
    gone: bool,
    /// Colours of the words.
    pub(super) paint: Paint,
}

impl<'a> Teller<'a> {
    /// For a person, or beside data with `aside`.
    pub(super) fn new(terminal: &'a mut Terminal, aside: bool) -> Self {
        let paint = if aside { Paint::default() } else { terminal.paint };
        Self { terminal, aside, drawn: false, gone: false, paint }
    }

    /// A line.
    pub(super) fn line(&mut self, text: &str) {
        if self.aside {
            return self.terminal.note(text);
        }
        let clear = if std::mem::take(&mut self.drawn) { CLEAR } else { "" };
        // An audience that has gone does not end the play: outcomes are still checked.
        self.gone |= self.terminal.print(&format!("{clear}{text}\n")).is_err();
    }

    /// Whether the last of the audience has gone, with its terminal.
    pub(super) fn is_alone(&self) -> bool {
        self.gone
    }

    /// The title of an act.
    pub(super) fn title(&mut self, text: &str) {
        let text = self.paint.bold(text);
        self.line("");
        self.line(&text);
    }

    /// Something that happened, with the time since the act began.
    pub(super) fn news(&mut self, since: Duration, text: &str) {
        self.line(&format!("   {:>5.1} s  {text}", since.as_secs_f64()));
    }

    /// What was shown.
    pub(super) fn proof(&mut self, text: &str) {
        let text = format!("   {} {text}", self.paint.green("✓"));
        self.line(&text);
    }

    /// What was not.
    pub(super) fn failure(&mut self, text: &str) {
        let text = format!("   {} {text}", self.paint.red("✗"));
        self.line(&text);
    }

    /// Draws the traffic of the last second over the line that was drawn before, if a person looks.
    pub(super) fn traffic(&mut self, answers: &[Answer]) {
        if self.aside || !self.terminal.interactive || answers.is_empty() {
            return;
        }
        let mut shares: Vec<(&str, usize)> = Vec::new();
        for version in answers.iter().filter_map(|it| it.version.as_deref()) {
            match shares.iter_mut().find(|it| it.0 == version) {
                Some(share) => share.1 += 1,
                None => shares.push((version, 1)),
            }
        }
        shares.sort_unstable();
        let bars: Vec<String> = shares
            .iter()
            .map(|(version, count)| {
                let share = *count as f64 / answers.len() as f64;
                format!("{version} {} {:.0}%", bar(share), share * 100.0)
            })
            .collect();
        let failed = answers.iter().filter(|it| it.failed()).count();
        let failed = if failed > 0 { format!("  {failed} failed") } else { String::new() };
        let text = format!("      {}   {} req/s", bars.join("  "), grouped(answers.len() as u64));
        // The rest of the old line goes last: cleared first, it would flicker.
        let text = format!("\r{}{}{REST}", self.paint.cyan(&text), self.paint.red(&failed));
        self.gone |= self.terminal.print(&text).is_err();
        self.drawn = true;
    }
}

/// To the beginning of the line, and nothing on it.
const CLEAR: &str = "\r\x1b[K";

/// Nothing from here to the end of the line.
const REST: &str = "\x1b[K";
