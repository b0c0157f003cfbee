//! `tidegate demo`: three releases in one process, with measured numbers.
//!
//! Everything is the real thing: the server is started as `run` starts it, from a file that is edited as
//! a person would edit it; versions and users have threads of their own and talk to it through sockets.
//! What is printed was counted by the users (`ledger`) and by the versions (`backend`), not by the
//! server. Ports are the kernel's choice and files lie in a folder of their own, so nothing of the
//! machine is touched.

mod acts;
mod backend;
mod folder;
mod ledger;
mod load;
mod report;
mod stage;
mod tell;

use std::error::Error;
use std::time::Duration;

use clap::Args;
use rand::TryRng;

use crate::app::{Disk, Given, Instance, RunError, Times};
use crate::config;
use crate::runtime::{Clock, ServiceManager, Signals, raise_open_files};

use super::arguments::Global;
use super::terminal::Terminal;
use super::text::grouped;
use super::{Failure, Outcome, exit};

use backend::Backends;
use folder::{BLOG_HOST, Folder};
use load::{Aim, Load};
pub(super) use report::Report;
use report::Requests;
use stage::{Pace, Stage};
use tell::Teller;

/// Arguments of `demo`.
#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// Play it seeded, check the outcomes, print one line of JSON; the exit code is 0 or 1
    #[arg(long)]
    pub ci: bool,
    /// How long it may take
    #[arg(long, value_name = "N")]
    pub seconds: Option<u64>,
    /// Stay up afterwards
    #[arg(long, conflicts_with = "ci")]
    pub keep: bool,
    /// Where chance begins
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
}

/// Plays the demonstration.
pub fn play(_global: &Global, args: &DemoArgs, terminal: &mut Terminal) -> Outcome {
    let failed = |error: &dyn Error| Failure::of(exit::FAILED, error);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| failed(&error))?;
    let for_program = args.ci || terminal.json;
    let seed = match args.seed {
        Some(seed) => seed,
        None if args.ci => SEED_OF_CI,
        None => rand::rngs::SysRng.try_next_u64().map_err(|error| failed(&error))?,
    };
    let seconds = args.seconds.unwrap_or(SECONDS).clamp(1, 3_600);
    let (report, interrupted) = runtime.block_on(async {
        let mut house = House::open(seed, Pace::of(seconds)).await.map_err(|it| failed(it.as_ref()))?;
        let mut report = Report { seed, rate: RATE, ..Report::default() };
        let mut tell = Teller::new(terminal, for_program);
        introduce(&mut tell, &house);
        let interrupted = house.play(tell, args.keep && !for_program, &mut report).await;
        let closed = house.close(&mut report).await;
        closed.map_err(|error| failed(&error)).map(|()| (report, interrupted))
    })?;
    if interrupted {
        return Ok(if args.keep && report.flip.is_some() { exit::DONE } else { exit::INTERRUPTED });
    }
    end(report, for_program, terminal)
}

/// The server, its versions, its users and its folder. Dropped from the top down: users go first.
struct House {
    load: Load,
    instance: Instance,
    signals: Signals,
    backends: Backends,
    folder: Folder,
    pace: Pace,
}

impl House {
    async fn open(seed: u64, pace: Pace) -> Result<Self, Box<dyn Error>> {
        // Users, proxy and versions share the limit of one process. If it cannot be raised, it must do.
        let _ = raise_open_files();
        let clock = Clock::system();
        let signals = Signals::install()?;
        let backends = Backends::start(&VERSIONS, &clock)?;
        let mut folder = Folder::make()?;
        let every: Vec<_> = backends.addresses().collect();
        folder.write(folder::first_text(&every, pace.soak, pace.watch))?;
        let loaded = config::load(&folder.file(), &Disk);
        let given = Given::alone(ServiceManager::from_environment(), clock.clone(), seed);
        let instance = Instance::start(&folder.file(), loaded, given).await?;
        let to = instance.addresses().await.first().ok_or("nothing listens")?.1;
        let aim = Aim { to, per_second: RATE, host: "shop.localhost", host_elsewhere: BLOG_HOST };
        let load = Load::start(aim, seed, &clock)?;
        Ok(Self { load, instance, signals, backends, folder, pace })
    }

    /// Plays all acts while the server attends to its file. Returns whether somebody interrupted it.
    async fn play(&mut self, tell: Teller<'_>, keep: bool, report: &mut Report) -> bool {
        let Self { load, instance, signals, backends, folder, pace } = self;
        let began = instance.clock.now();
        let mut stage = Stage::new(instance, backends, folder, load, tell, *pace);
        let acts = async {
            if let Err(problem) = acts::play(&mut stage, report).await {
                report.problems.push(problem);
            } else if keep {
                stay(&mut stage).await;
            }
        };
        let interrupted = tokio::select! {
            () = acts => false,
            _ = instance.attend(true, signals) => true,
        };
        report.seconds = instance.clock.now().since(began).as_secs_f64();
        interrupted
    }

    /// Ends users, server and versions in this order, and adds up.
    async fn close(mut self, report: &mut Report) -> Result<(), RunError> {
        self.load.stop();
        let ledger = self.load.ledger();
        report.requests = Requests {
            sent: ledger.sent(),
            answered: ledger.count(|it| it.status.is_some()),
            failed: ledger.count(|it| it.failed()),
            failed_elsewhere: ledger.count(|it| it.failed() && !it.is_by("v3")),
            reasons: ledger.reasons(|it| !it.is_by("v3")),
            late: ledger.late(),
        };
        report.check();
        let times = Times { lame_duck: Duration::ZERO, drain: Duration::from_secs(1) };
        self.instance.stop(times, &mut self.signals).await
    }
}

fn introduce(tell: &mut Teller<'_>, house: &House) {
    let rate = grouped(RATE.into());
    tell.line(&format!(
        "tidegate demo: a proxy with two workers, five versions of two services and {rate} requests a second,\n\
         all in this process, over real sockets. Every number is measured now. The file:"
    ));
    tell.line("");
    for line in house.folder.text().lines() {
        let line = tell.paint.dim(&format!("   {line}"));
        tell.line(&line);
    }
}

/// Says where everything is, and goes on with a little traffic until somebody ends it.
async fn stay(stage: &mut Stage<'_>) {
    let program = std::env::args().next().unwrap_or_else(|| "tidegate".into());
    let file = stage.folder.file();
    let token = file.with_file_name("state").join("admin-token");
    let (program, file, token) = (program.as_str(), file.display(), token.display());
    let traffic = stage.instance.addresses().await.first().map(|it| it.1.to_string()).unwrap_or_default();
    let admin = stage.instance.admin_address().map(|it| it.to_string()).unwrap_or_default();
    stage.tell.title("It stays up until Ctrl-C. In another terminal:");
    for (what, command) in [
        ("dashboard", format!("http://{admin}/")),
        ("its token", format!("cat {token}")),
        ("traffic", format!("curl -i http://{traffic}/")),
        ("metrics", format!("curl http://{admin}/metrics")),
        ("status", format!("{program} status -c {file}")),
        ("decisions", format!("{program} events -c {file}")),
        ("once more", format!("{program} retry shop -c {file}    (v3 is still broken)")),
        ("release", format!("edit `live` in {file}")),
    ] {
        stage.tell.line(&format!("   {what:<10} {command}"));
    }
    // To the service with canaries, so that `retry` has something to see.
    stage.load.ask_elsewhere(false);
    // Until Ctrl-C, or until the terminal is closed: the hang-up itself means "reload" to a server.
    while !stage.tell.is_alone() {
        stage.wait(Duration::from_secs(5)).await;
        stage.ledger().forget();
    }
}

fn end(report: Report, for_program: bool, terminal: &mut Terminal) -> Outcome {
    if for_program {
        let text = serde_json::to_string(&report).expect("numbers and texts can be written as JSON");
        terminal.print_line(&text)?;
    } else {
        let mut tell = Teller::new(terminal, false);
        let all = &report.requests;
        tell.line("");
        tell.line(&format!(
            "In all {} requests sent and {} answered in {:.0} s. {} users saw a failure: {} of v3 before it was out, {} of \
             anybody else.",
            grouped(all.sent),
            grouped(all.answered),
            report.seconds,
            all.failed,
            all.failed - all.failed_elsewhere,
            all.failed_elsewhere
        ));
        for problem in &report.problems {
            tell.failure(problem);
        }
        let next = ["tidegate init", "tidegate run", "tidegate demo --keep"].map(str::to_owned);
        terminal.next(&next);
    }
    if report.ok { Ok(exit::DONE) } else { Err(Failure::silent(exit::FAILED)) }
}

/// What is served, in the order of the file.
const VERSIONS: [&str; 5] = ["v1", "v2", "v3", "blue", "green"];

/// Requests a second: enough that a tenth of them says something within a second, and little work for
/// two cores that proxy, users and versions share.
const RATE: u32 = 1_000;

/// How long it takes when nobody says.
const SECONDS: u64 = 20;

/// Where chance begins in CI when nobody says, so that runs can be compared.
const SEED_OF_CI: u64 = 1;
