//! `tidegate explain`: where a request goes and why; or the long text of an error code.

use clap::Args;
use clap_complete::engine::ArgValueCandidates;

use crate::admin::wire::{ExplainAsk, ExplainReply};
use crate::app::{self, Disk, Scene};
use crate::config::{self, Code, closest};

use super::arguments::Global;
use super::check::no_file;
use super::client::{Client, block_on};
use super::printed::CodeJson;
use super::terminal::{Paint, Terminal};
use super::text::percent;
use super::{Failure, Outcome, exit, live, locate};

/// Arguments of `explain`.
#[derive(Args, Clone, Debug)]
pub struct ExplainArgs {
    /// The method of a request, or an error code: GET, TG0203
    #[arg(value_name = "METHOD|CODE", add = ArgValueCandidates::new(live::codes))]
    pub what: String,
    /// The URL of the request: http://shop.example.com/cart
    pub url: Option<String>,
    /// A header line of the request; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", requires = "url")]
    pub headers: Vec<String>,
    /// The address of the client, where that decides
    #[arg(long, value_name = "ADDRESS", requires = "url")]
    pub from: Option<String>,
    /// Ask the file, not the server that runs it
    #[arg(long, requires = "url", conflicts_with = "server")]
    pub offline: bool,
}

/// Explains a request or a code.
pub fn explain(global: &Global, args: &ExplainArgs, terminal: &mut Terminal) -> Outcome {
    let Some(url) = &args.url else { return code(&args.what, terminal) };
    let ask = ExplainAsk {
        method: args.what.clone(),
        url: url.clone(),
        headers: args.headers.clone(),
        from: args.from.clone(),
    };
    let by_server = if args.offline { None } else { by_server(global, &ask, terminal)? };
    let told = match by_server {
        Some(told) => told,
        None => by_file(global, &ask)?,
    };
    if terminal.json {
        terminal.print_line(&serde_json::to_string(&told).expect("wire types have string keys"))?;
        return Ok(exit::DONE);
    }
    let text = shown(&told, terminal.paint);
    terminal.print(&text)?;
    terminal.next(&match &told.service {
        Some(it) => vec![format!("tidegate status {it}")],
        None => vec!["tidegate check".into()],
    });
    Ok(exit::DONE)
}

/// `None` when no server answers and there is a file to ask instead.
fn by_server(
    global: &Global,
    ask: &ExplainAsk,
    terminal: &mut Terminal,
) -> Result<Option<ExplainReply>, Failure> {
    block_on(async {
        let client = match Client::find(global, terminal).await {
            Ok(it) => it,
            Err(failure) if failure.code != exit::UNREACHABLE || global.server.is_some() => {
                return Err(failure);
            }
            Err(failure) if locate::config_file(global).is_none() => return Err(failure),
            Err(_) => {
                terminal.note("note: no server answers; this is what the file alone says");
                return Ok(None);
            }
        };
        let text = client.post("/api/v1/explain", ask).await?;
        client.parse(&text).map(Some)
    })
}

fn by_file(global: &Global, ask: &ExplainAsk) -> Result<ExplainReply, Failure> {
    let file = locate::config_file(global).ok_or_else(no_file)?;
    let loaded = config::load(&file, &Disk);
    let Some(config) = loaded.config else {
        let failure = Failure::new(exit::CONFIG, format!("`{}` is invalid", file.display()));
        return Err(failure.hint(format!("look at it: tidegate check {}", file.display())));
    };
    let table = app::table_of(&config);
    let scene = Scene { table: &table, listeners: &config.listeners, key: None };
    app::explain(scene, ask).map_err(|it| Failure::new(exit::USAGE, it))
}

/// The answer as a small tree.
fn shown(it: &ExplainReply, paint: Paint) -> String {
    let mut lines: Vec<(&str, String)> = Vec::new();
    lines.extend(it.listener.iter().map(|it| ("listener", it.clone())));
    if let Some(it) = &it.route {
        lines.push(("route", format!("{} → {}", paint.bold(&it.route), it.to)));
        lines.push(("", it.why.clone()));
    }
    lines.extend(it.lost.iter().map(|it| ("", format!("not {} → {}: {}", it.route, it.to, it.why))));
    if let Some(answer) = &it.answer {
        let status = it.status.map_or(String::new(), |it| format!("{it}: "));
        lines.push(("answer", format!("{}{answer}", paint.red(&status))));
    }
    lines
        .extend(it.nearest.iter().map(|it| ("nearest", format!("{} → {}, but {}", it.route, it.to, it.why))));
    lines.extend(it.service.iter().map(|it| ("service", it.clone())));
    if it.service.is_some() {
        let lane = it.lane.as_ref().map_or(String::new(), |lane| format!(" ({lane})"));
        let version = it.version.as_ref().map_or("any with a share".into(), |it| paint.bold(it));
        lines.push(("version", format!("{version}{lane}")));
        lines.extend(it.why.iter().map(|it| ("", it.clone())));
        if !it.judged && it.version.is_some() {
            lines.push(("", "nothing of it is held for or against the version".into()));
        }
        if it.version.is_some() && it.shares.len() > 1 {
            let share =
                |it: &crate::admin::wire::ShareWire| format!("{} {}", it.version, percent(it.weight_percent));
            lines.push((
                "",
                format!("shares: {}", it.shares.iter().map(share).collect::<Vec<_>>().join(", ")),
            ));
        }
    }
    for (number, endpoint) in it.endpoints.iter().enumerate() {
        let state = endpoint.state.as_ref().map_or(String::new(), |it| format!(", {it}"));
        let version = if it.version.is_none() { format!(" ({})", endpoint.version) } else { String::new() };
        let word = if number == 0 { "endpoint" } else { "" };
        lines.push((word, format!("{}{version}{state}", endpoint.endpoint)));
    }
    lines.extend(it.balance.iter().map(|it| ("", format!("chosen: {it}"))));
    lines.extend(it.notes.iter().map(|it| ("note", it.clone())));
    let mut text = format!("{}\n", paint.bold(&it.request));
    let last = lines.iter().rposition(|it| !it.0.is_empty()).unwrap_or(0);
    for (number, (word, line)) in lines.iter().enumerate() {
        let fork = match (word.is_empty(), number < last) {
            (false, true) => "├─ ",
            (false, false) => "└─ ",
            (true, true) => "│  ",
            (true, false) => "   ",
        };
        text.push_str(&format!("{fork}{word:<9} {line}\n"));
    }
    text
}

/// Prints what a rule checks and why.
fn code(code: &str, terminal: &mut Terminal) -> Outcome {
    if let Some(text) = config::explain(code) {
        if terminal.json {
            let code = text.split(':').next().unwrap_or_default().to_owned();
            terminal.print_json(&CodeJson { code, text: text.to_owned() })?;
        } else {
            terminal.print(text)?;
            terminal.next(&["tidegate check".into()]);
        }
        return Ok(exit::DONE);
    }
    if code.bytes().all(|it| it.is_ascii_alphabetic()) && !code.is_empty() {
        let failure = Failure::new(exit::USAGE, format!("which URL is `{code}` asked for?"));
        return Err(failure.hint(format!("tidegate explain {code} http://shop.example.com/cart")));
    }
    let failure = Failure::new(exit::USAGE, format!("there is no error code `{code}`"));
    Err(match closest(code, Code::ALL.iter().map(|it| it.as_str())) {
        Some(similar) => failure.hint(format!("did you mean `{similar}`?")),
        None => failure.hint("codes are printed by `tidegate check`: error[TG0203]"),
    })
}
