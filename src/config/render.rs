//! Problems for people, for programs and for pull requests.

use std::fmt::Write as _;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
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
        let mut primary = AnnotationKind::Primary.span(self.visible(place));
        if let Some(label) = &problem.label {
            primary = primary.label(label.as_str());
        }
        let mut snippet = self.snippet(place).annotation(primary);
        let mut second = None;
        if let Some((other, label)) = &problem.related {
            let annotation = AnnotationKind::Context.span(self.visible(other)).label(label.as_str());
            if other.file == place.file {
                snippet = snippet.annotation(annotation);
            } else {
                second = Some(self.snippet(other).annotation(annotation));
            }
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

    fn snippet<'a>(&'a self, place: &'a Place) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
        let path = place.file.display().to_string();
        Snippet::source(self.text_of(&place.file)).path(path).fold(true)
    }

    /// The first line of a span: a problem of a whole block is shown by its beginning.
    fn visible(&self, place: &Place) -> std::ops::Range<usize> {
        let text = self.text_of(&place.file);
        let span = place.span.clone();
        let line = text.get(span.clone()).and_then(|it| it.lines().next()).unwrap_or_default();
        let end = span.start + line.trim_end().len();
        if line.is_empty() { span.start..span.start } else { span.start..end }
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
