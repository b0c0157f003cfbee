//! Everything that can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::check::CheckArgs;
use super::completions::CompletionsArgs;
use super::demo::DemoArgs;
use super::deploy::DeployArgs;
use super::diff::DiffArgs;
use super::events::EventsArgs;
use super::explain::ExplainArgs;
use super::export::ExportArgs;
use super::freeze::FreezeArgs;
use super::history::HistoryArgs;
use super::import::ImportArgs;
use super::init::InitArgs;
use super::man::ManArgs;
use super::notify::NotifyArgs;
use super::pause::PauseArgs;
use super::promote::PromoteArgs;
use super::reload::ReloadArgs;
use super::replay::ReplayArgs;
use super::resume::ResumeArgs;
use super::retry::RetryArgs;
use super::rollback::RollbackArgs;
use super::run::RunArgs;
use super::schema::SchemaArgs;
use super::simulate::SimulateArgs;
use super::status::StatusArgs;
use super::token::TokenArgs;
use super::weight::WeightArgs;

/// A reverse proxy that releases: weighted routing between versions, judged on every response, rolled
/// back by itself.
#[derive(Clone, Debug, Parser)]
#[command(name = "tidegate", version, about, after_help = EXIT_CODES, subcommand_required = true)]
pub struct Arguments {
    /// What every verb knows.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What every verb knows.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Options of every verb")]
pub struct Global {
    /// The configuration file; verbs that talk to a server find the one that runs it
    /// [default: tidegate.yaml here, then /etc/tidegate/tidegate.yaml]
    #[arg(short, long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The server to talk to: http://127.0.0.1:9900 (or https), or unix:/run/tidegate/admin.sock
    /// [default: $TIDEGATE_URL, else found by the configuration]
    #[arg(long, global = true, value_name = "URL")]
    pub server: Option<String>,
    /// The authorities that are believed about a server with https [default: $TIDEGATE_CA, else the system's]
    #[arg(long, global = true, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Print nothing but data and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// When to colour
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        value_enum,
        default_value_t,
        hide_possible_values = true
    )]
    pub color: ColorChoice,
    /// Do not ask
    #[arg(short, long, global = true)]
    pub yes: bool,
}

/// When output is coloured.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless the environment says otherwise.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// See it work: proxy, backends and traffic in one process, three releases with measured numbers
    Demo(DemoArgs),
    /// Write a first configuration file
    Init(InitArgs),
    /// Make a first configuration file out of those of nginx, HAProxy, the Gateway API, Argo or Flagger
    Import(ImportArgs),
    /// Serve, in the foreground
    Run(RunArgs),
    /// Check configuration files completely, without a server
    Check(CheckArgs),
    /// Show what a reload would change, and what would come of it
    Diff(DiffArgs),
    /// Check the files of the running server, then swap them in
    Reload(ReloadArgs),
    /// Explain where a request goes and why, or an error code such as TG0203
    Explain(ExplainArgs),
    /// Print the YAML of what runs now
    Export(ExportArgs),
    /// Print the JSON Schema of the configuration file, or of what a verb prints with --json
    Schema(SchemaArgs),
    /// Show what is going on
    Status(StatusArgs),
    /// Add a version at run time and release it
    Deploy(DeployArgs),
    /// Say yes to a gate, go to the next step now, or to 100 %
    Promote(PromoteArgs),
    /// Stop a release from moving on; guards stay armed
    Pause(PauseArgs),
    /// Let a paused release move on
    Resume(ResumeArgs),
    /// Go back to the stable version at once
    #[command(visible_aliases = ["abort", "undo"])]
    Rollback(RollbackArgs),
    /// Lift the quarantine of a version that was rolled back
    Retry(RetryArgs),
    /// Give the version that is being released a share by hand; it stays there until `resume`
    Weight(WeightArgs),
    /// Let nothing advance anywhere; guards stay armed and rollbacks go on
    Freeze(FreezeArgs),
    /// Let releases advance again
    Unfreeze,
    /// Show decisions and what they rested on
    Events(EventsArgs),
    /// Show the decisions about a service with their evidence, newest first
    History(HistoryArgs),
    /// Send a test to those who are notified
    Notify(NotifyArgs),
    /// Try a plan and its guards on made-up or recorded traffic: false rollbacks, misses, time to decide
    Simulate(SimulateArgs),
    /// Hand over to a new process without a gap: the program that lies under the server's name now
    Upgrade,
    /// Decide everything that was decided once more, from its trace, and compare
    Replay(ReplayArgs),
    /// Make a token for the admin interface
    Token(TokenArgs),
    /// Print the completions of a shell
    Completions(CompletionsArgs),
    /// Print the manual page, or write one for each verb into a directory
    Man(ManArgs),
    /// Print the version
    Version,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done · 1 failed · 2 wrong usage · 3 configuration invalid · 4 not reachable or not
authorised · 5 someone acted first · 6 differences (diff --exit-code) · 10 still in progress at --timeout · 11 rolled back or
quarantined · 12 held, paused or
waiting for approval · run: 20 no address · 21 no state directory · 22 requests were cut at the end ·
130 interrupted";
