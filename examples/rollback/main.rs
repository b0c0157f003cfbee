//! How long a bad version keeps its traffic, and how many users it fails: measured, with everything real.
//!
//! Every run starts the `tidegate` binary afresh with two backends in this process, puts a constant 1000
//! requests a second on it whatever the answers, releases version `v2` at 10 % by editing the file, lets
//! the fault begin at a known moment, and waits until `/metrics` says that `v2` has weight 0. Healthy runs
//! wait for a rollback that must not come.
//!
//! Here are the scenarios and the order of a run; `backend` has the versions, `client` the load, `server`
//! the child and its file, `report` the numbers.

#![expect(clippy::disallowed_methods, reason = "a bench tool is its own composition root")]

mod arguments;
mod backend;
mod client;
mod report;
mod scenario;
mod server;

use std::error::Error;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};
use tokio::task::LocalSet;
use tokio::time::sleep;

use arguments::Arguments;
use backend::{Backend, Fault};
use client::Load;
use report::Run;
use scenario::Scenario;
use server::Server;

/// Both versions fail this often by themselves, as in the simulations that the goals come from.
const BASE_ERRORS: f64 = 0.001;

/// Traffic before the release, from which the guards learn the usual error rate.
const BEFORE_RELEASE: Duration = Duration::from_secs(2);

/// After the rollback, to count what was still on its way.
const AFTERMATH: Duration = Duration::from_millis(300);

/// How often the weight is asked for; also the resolution of the reported times.
const POLL: Duration = Duration::from_millis(5);

/// How long a release may take to begin after its file was written.
const BEGIN_PATIENCE: Duration = Duration::from_secs(15);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::from_command_line()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, run_all(&arguments))
}

/// Every outcome is drawn afresh: a bench that always tossed the same coins would measure those.
fn fresh_random() -> StdRng {
    StdRng::try_from_rng(&mut SysRng).expect("the system has random numbers")
}

async fn run_all(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let stable = Backend::start("v1", BASE_ERRORS).await?;
    let canary = Backend::start("v2", BASE_ERRORS).await?;
    let mut results = Vec::new();
    for &scenario in &arguments.scenarios {
        let mut runs = Vec::new();
        for turn in 1..=arguments.runs_of(scenario) {
            let run = run_once(scenario, arguments, &stable, &canary)
                .await
                .map_err(|error| format!("{} run {turn}: {error}", scenario.name))?;
            eprintln!("{} {turn}: {run}", scenario.name);
            runs.push(run);
        }
        results.push((scenario, runs));
    }
    report::write(&results, arguments)
}

/// One release from start to rollback, or to the end of the scenario's patience.
async fn run_once(
    scenario: &Scenario,
    arguments: &Arguments,
    stable: &Rc<Backend>,
    canary: &Rc<Backend>,
) -> Result<Run, Box<dyn Error>> {
    canary.set(Fault::None);
    let server = Server::start(&arguments.tidegate, [stable.address, canary.address]).await?;
    let mut metrics = server.metrics();
    let load = Load::start(server.address, arguments.rate);
    sleep(BEFORE_RELEASE).await;

    if scenario.onset.is_zero() {
        canary.set(scenario.fault);
    }
    canary.forget();
    server.release_v2()?;
    let first = canary.first_request(BEGIN_PATIENCE).await.ok_or("the canary never got a request")?;
    sleep(scenario.onset.saturating_sub(first.elapsed())).await;
    let premature = !scenario.onset.is_zero() && metrics.canary_weight().await? == Some(0.0);
    canary.set(scenario.fault);
    let onset = if scenario.onset.is_zero() { first } else { Instant::now() };

    let mut weight_zero = None;
    while onset.elapsed() < scenario.patience {
        if metrics.canary_weight().await? == Some(0.0) {
            weight_zero = Some(onset.elapsed());
            break;
        }
        sleep(POLL).await;
    }
    sleep(AFTERMATH + scenario.aftermath).await;
    let tally = load.stop(onset);
    if let Some(reason) = tally.unusable() {
        return Err(format!("{reason}\n{}", server.log()).into());
    }
    Ok(Run { premature, weight_zero, last_canary_request: canary.last_request_since(onset), tally })
}
