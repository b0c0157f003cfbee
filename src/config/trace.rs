//! `trace`: how requests take part in traces that span several programs.

use crate::model::Weight;

use super::code::Code;
use super::fields::{self, Fields, Shape};
use super::node::Node;
use super::problem::{Problems, Report};
use super::text;
use super::yaml::shown;

pub(super) const TRACE: Shape = Shape { name: "Trace", what: "`trace`", keys: &["sample", "export"] };

/// How requests take part in traces.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceSpec {
    /// The share of the traces that begin here which is recorded.
    pub sample: Weight,
    /// Where spans go.
    pub export: Option<ExportTo>,
}

/// A collector that takes OTLP over plain HTTP.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportTo {
    /// Host and port.
    pub authority: String,
    /// Path of the service.
    pub path: String,
}

/// `off` or a map.
pub(super) fn trace(node: &Node, problems: &mut Problems) -> Option<Option<TraceSpec>> {
    if node.is_word("off") {
        return Some(None);
    }
    let fields = Fields::of(node, node.at, &TRACE, problems)?;
    let sample = fields.required("sample", "the share of new traces that is recorded: 1%", problems);
    let sample = sample.and_then(|it| fields::parsed(&it.value, text::weight, problems));
    let export = fields.read("export", problems, export);
    Some(Some(TraceSpec { sample: sample?, export }))
}

fn export(node: &Node, problems: &mut Problems) -> Option<ExportTo> {
    if !cfg!(feature = "otlp") {
        let report =
            Report::error(Code::Value, node.at, "this program was built without the export of spans");
        problems.push(report.help("build it with the feature `otlp`, or leave `export` out"));
        return None;
    }
    let written = fields::text(node, problems)?;
    let rest = written.strip_prefix("http://").unwrap_or_default();
    let (host, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let port = host.rsplit_once(':').filter(|it| !it.1.ends_with(']'));
    let sound = port.is_none_or(|it| it.1.parse::<u16>().is_ok_and(|it| it > 0) && !it.0.is_empty());
    if host.is_empty() || !sound || !rest.bytes().all(|it| it.is_ascii_graphic()) {
        let message = format!("`{}` is no collector that can be reached", shown(written));
        problems.push(Report::error(Code::Value, node.at, message).help("plain HTTP: http://127.0.0.1:4318"));
        return None;
    }
    let authority = if port.is_some() { host.to_owned() } else { format!("{host}:4318") };
    let path = if path.len() > 1 { path.to_owned() } else { "/v1/traces".to_owned() };
    Some(ExportTo { authority, path })
}
