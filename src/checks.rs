//! Checks of a version from outside the request path: commands, URLs, numbers of a Prometheus, and whether
//! its endpoints can be reached at all.
//!
//! One thread with a runtime of its own, so that neither a slow answer nor a command that says much is
//! ever in the way of the controller. Whoever asks holds a [`Running`]; letting go of it ends what is
//! running, at once and with its children. What comes back is one [`Report`], bounded in size.
//!
//! Not here: when a check must run and what follows from it ([`crate::release`], [`crate::controller`]).

mod command;
mod output;
mod sample;
#[cfg(test)]
mod tests;
mod url;

use std::io;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::model::{ServiceName, Timestamp, VersionName};
use crate::runtime::spawn_thread;

use command::Leash;
use url::Opening;

/// Where checks are run. Clones share one thread, which ends with the last of them.
#[derive(Clone, Debug)]
pub struct Checks(mpsc::UnboundedSender<Job>);

/// What is checked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Subject {
    /// The service.
    pub service: ServiceName,
    /// The version of it.
    pub version: VersionName,
    /// Where it can be reached, as a URL without a path or as `unix:/path`: what `{endpoint}` stands for.
    pub endpoint: String,
    /// What connections to it begin with.
    pub first: &'static [u8],
}

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// A program and its arguments; passed when it ends with status 0.
    Command(Vec<String>),
    /// Passed when `GET` is answered with this status.
    Url {
        /// Plain HTTP.
        url: String,
        /// The status that is wanted.
        status: u16,
    },
    /// Passed when the answer to a query is one number within bounds.
    Sample {
        /// Plain HTTP, without the path of the API.
        prometheus: String,
        /// PromQL.
        query: String,
        /// What is fine.
        bounds: Bounds,
    },
    /// Passed when a connection can be opened to any of these, as `host:port` or `unix:/path`.
    Reachable(Vec<String>),
}

/// Which samples are fine.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds {
    /// Least value.
    pub min: Option<f64>,
    /// Greatest value.
    pub max: Option<f64>,
    /// When it is asked.
    pub now: Timestamp,
    /// How far from that a sample may be.
    pub age_max: Duration,
}

/// How a check went.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Finding {
    /// As wanted.
    Passed,
    /// Not as wanted, and how.
    Failed(String),
    /// Nobody knows: no answer, or none that could be understood.
    Unknown(String),
}

/// What came of a check.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report {
    /// How it went.
    pub finding: Finding,
    /// The beginning and the end of what was said, as text that is safe to show.
    pub output: String,
}

/// A check that is running. Letting go of it ends it.
#[derive(Debug)]
pub struct Running(Leash);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.call_off();
    }
}

type Told = Box<dyn FnOnce(Report) + Send>;

struct Job {
    subject: Subject,
    question: Question,
    limit: Duration,
    leash: Leash,
    told: Told,
}

impl Checks {
    /// Starts the thread.
    pub fn start() -> io::Result<Self> {
        let (sender, jobs) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        spawn_thread("checks", None, move || {
            runtime.block_on(serve(jobs));
            // A name that is being looked up keeps nobody waiting.
            runtime.shutdown_background();
        })?;
        Ok(Self(sender))
    }

    /// Asks. `told` hears of it once, on another thread, unless the check is let go of before.
    pub fn ask(
        &self,
        subject: Subject,
        question: Question,
        limit: Duration,
        told: impl FnOnce(Report) + Send + 'static,
    ) -> Running {
        let leash = Leash::default();
        let job = Job { subject, question, limit, leash: leash.clone(), told: Box::new(told) };
        if let Err(mpsc::error::SendError(job)) = self.0.send(job) {
            let finding = Finding::Unknown("the thread of the checks has ended".into());
            (job.told)(Report { finding, output: String::new() });
        }
        Running(leash)
    }
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("subject", &self.subject).field("question", &self.question).finish()
    }
}

async fn serve(mut jobs: mpsc::UnboundedReceiver<Job>) {
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            job = jobs.recv() => match job {
                Some(job) => {
                    running.spawn(work(job));
                }
                // What still runs ends with the set.
                None => return,
            },
            Some(_) = running.join_next() => {}
        }
    }
}

async fn work(job: Job) {
    let Job { subject, question, limit, leash, told } = job;
    let report = tokio::select! {
        biased;
        () = leash.called_off() => return,
        report = answer(&subject, question, limit, &leash) => report,
    };
    if !leash.is_called_off() {
        told(report);
    }
}

async fn answer(subject: &Subject, question: Question, limit: Duration, leash: &Leash) -> Report {
    match question {
        Question::Command(argv) => {
            let argv: Vec<String> = argv.iter().map(|it| filled(it, subject)).collect();
            command::run(subject, &argv, limit, leash).await
        }
        Question::Url { url, status } => {
            let own = url.strip_prefix("{endpoint}");
            let socket = subject.endpoint.strip_prefix("unix:").zip(own);
            let first = if own.is_some() { subject.first } else { b"" };
            match socket {
                Some((path, rest)) => {
                    let (to, url) =
                        (Opening { socket: Some(path), first }, format!("http://localhost{rest}"));
                    url::ask(to, &url, status, limit).await
                }
                None => {
                    url::ask(Opening { socket: None, first }, &filled(&url, subject), status, limit).await
                }
            }
        }
        Question::Sample { prometheus, query, bounds } => {
            sample::ask(&prometheus, &query, &bounds, limit).await
        }
        Question::Reachable(endpoints) => {
            Report { finding: reachable(&endpoints, limit).await, output: String::new() }
        }
    }
}

/// `{endpoint}` replaced, wherever it stands.
fn filled(text: &str, subject: &Subject) -> String {
    text.replace("{endpoint}", &subject.endpoint)
}

async fn reachable(endpoints: &[String], limit: Duration) -> Finding {
    let mut tries = JoinSet::new();
    for endpoint in endpoints {
        let endpoint = endpoint.clone();
        tries.spawn(async move {
            let connecting = async {
                match endpoint.strip_prefix("unix:") {
                    Some(path) => UnixStream::connect(path).await.map(drop),
                    None => TcpStream::connect(&endpoint).await.map(drop),
                }
            };
            match timeout(limit, connecting).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(format!("{endpoint}: {error}")),
                Err(_) => Err(format!("{endpoint}: no connection within {limit:?}")),
            }
        });
    }
    let mut last = "no endpoints".to_owned();
    while let Some(done) = tries.join_next().await {
        match done {
            Ok(Ok(())) => return Finding::Passed,
            Ok(Err(why)) => last = why,
            Err(error) => last = error.to_string(),
        }
    }
    Finding::Failed(last)
}
