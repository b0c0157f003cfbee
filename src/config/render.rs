//! Problems for people, for programs and for pull requests.

use std::fmt::Write as _;
use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::{Value, json};

use super::problem::{Problem, Problems, Severity};
use super::source::Place;

impl Problems {
    /// As a compiler would print them, with the lines they are about and a summary.
    pub fn render_human(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let mut out = String::new();
        for problem in self.iter() {
            out.push_str(&renderer.render(&[self.group(problem)]));
            out.push_str("\n\n");
        }
        if self.omitted() > 0 {
            let _ = writeln!(out, "… and {} more.", self.omitted());
        }
        let _ = writeln!(out, "{}", self.summary());
        out
    }

    /// `1 error, 0 warnings in 3 files.`
    pub fn summary(&self) -> String {
        let (errors, warnings) = self.counts();
        let plural = |count: usize, noun: &str| match count {
            1 => format!("1 {noun}"),
            _ => format!("{count} {noun}s"),
        };
        let files = plural(self.files(), "file");
        format!("{}, {} in {files}.", plural(errors, "error"), plural(warnings, "warning"))
    }

    /// For programs: an object with `errors`, `warnings`, `omitted` and a list `problems`.
    pub fn render_json(&self) -> Value {
        let (errors, warnings) = self.counts();
        let problems: Vec<Value> = self.iter().map(problem_json).collect();
        json!({
            "errors": errors,
            "warnings": warnings,
            "omitted": self.omitted(),
            "files": self.files(),
            "problems": problems,
        })
    }

    /// Workflow commands that put each problem beside its line in a pull request.
    pub fn render_github(&self) -> String {
        let mut out = String::new();
        for problem in self.iter() {
            let kind = severity_word(problem.severity);
            let place = &problem.place;
            let mut text = problem.message.clone();
            if let Some(help) = &problem.help {
                let _ = write!(text, "\nhelp: {help}");
            }
            let _ = writeln!(
                out,
                "::{kind} file={},line={},col={},title={}::{}",
                escape_github(&place.file.display().to_string(), true),
                place.line,
                place.column,
                problem.code,
                escape_github(&text, false),
            );
        }
        out
    }

    fn group<'a>(&'a self, problem: &'a Problem) -> Group<'a> {
        let level = match problem.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let place = &problem.place;
        let mut window = self.window(place);
        let mut second = None;
        if let Some((other, label)) = &problem.related {
            let theirs = self.window(other);
            if other.file == place.file && window.is_near(&theirs) {
                window = window.joined(&theirs);
            } else {
                let label = AnnotationKind::Context.span(theirs.span(other)).label(label.as_str());
                second = Some(theirs.snippet(other).annotation(label));
            }
        }
        let mut primary = AnnotationKind::Primary.span(window.span(place));
        if let Some(label) = &problem.label {
            primary = primary.label(label.as_str());
        }
        let mut snippet = window.snippet(place).annotation(primary);
        if let (None, Some((other, label))) = (&second, &problem.related) {
            snippet =
                snippet.annotation(AnnotationKind::Context.span(window.span(other)).label(label.as_str()));
        }
        let mut group =
            level.primary_title(problem.message.as_str()).id(problem.code.as_str()).element(snippet);
        if let Some(second) = second {
            group = group.element(second);
        }
        let more = format!("long text: tidegate explain {}", problem.code);
        let help = match &problem.help {
            Some(help) => format!("{help}   {more}"),
            None => more,
        };
        group.element(Level::HELP.message(help))
    }

    /// The lines of a place: a renderer that is handed the whole file reads it whole.
    fn window(&self, place: &Place) -> Window<'_> {
        let text = self.text_of(&place.file);
        let start = text[..place.span.start].rfind('\n').map_or(0, |it| it + 1);
        let end = text[place.span.start..].find('\n').map_or(text.len(), |it| place.span.start + it);
        Window { text, start, end, line: place.line }
    }
}

/// Whole lines of a file.
struct Window<'a> {
    text: &'a str,
    start: usize,
    end: usize,
    /// Number of the first line.
    line: usize,
}

/// How far apart two places are shown in one picture, in bytes.
const NEAR_BYTES: usize = 16 * 1024;

impl<'a> Window<'a> {
    fn is_near(&self, other: &Self) -> bool {
        self.start.abs_diff(other.start) <= NEAR_BYTES
    }

    fn joined(&self, other: &Self) -> Self {
        let (start, end) = (self.start.min(other.start), self.end.max(other.end));
        Self { text: self.text, start, end, line: self.line.min(other.line) }
    }

    fn snippet(&self, place: &Place) -> Snippet<'a, Annotation<'a>> {
        let path = place.file.display().to_string();
        Snippet::source(&self.text[self.start..self.end]).path(path).line_start(self.line).fold(true)
    }

    /// The part of a place that is shown: a block is shown by its first line.
    fn span(&self, place: &Place) -> Range<usize> {
        let line = self.text[place.span.clone()].lines().next().unwrap_or_default();
        let start = place.span.start - self.start;
        start..start + line.trim_end().len()
    }
}

fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn place_json(place: &Place) -> Value {
    json!({
        "file": place.file.display().to_string(),
        "line": place.line,
        "column": place.column,
        "span": [place.span.start, place.span.end],
    })
}

fn problem_json(problem: &Problem) -> Value {
    let mut value = place_json(&problem.place);
    value["severity"] = severity_word(problem.severity).into();
    value["code"] = problem.code.as_str().into();
    value["message"] = problem.message.as_str().into();
    value["label"] = problem.label.as_deref().into();
    value["help"] = problem.help.as_deref().into();
    value["related"] = problem.related.as_ref().map_or(Value::Null, |(place, label)| {
        let mut related = place_json(place);
        related["label"] = label.as_str().into();
        related
    });
    value
}

/// Escapes for workflow commands; properties also escape what separates them.
fn escape_github(text: &str, property: bool) -> String {
    let text = text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    if property { text.replace(':', "%3A").replace(',', "%2C") } else { text }
}
