//! Users by the ten thousand, played by programs that do nothing else: a client that was built to be debugged takes
//! as much of the processor as what it tests.

use std::io::Read;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::outside;
use super::wait::until;

/// Users who ask for `/`, one thing after the other on each connection. Ended with the test.
pub struct Crowd {
    child: Child,
    read: fn(&str) -> Option<Told>,
}

/// What they say about how it went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// Requests that were answered.
    pub answered: u64,
    /// Those that failed, were answered with an error, or could not be sent.
    pub failed: u64,
    /// Answers in a second.
    pub rate: f64,
}

impl Crowd {
    /// So many requests, as fast as they are answered.
    pub fn of(requests: u64, to: SocketAddr, connections: usize) -> Option<Self> {
        let (requests, connections) = (requests.to_string(), connections.to_string());
        Self::h2load(&["-n", &requests, "-c", &connections], to)
    }

    /// So many requests a second for so many seconds. It cannot pace itself on connections that are closed.
    pub fn paced(rate: usize, seconds: u64, to: SocketAddr, connections: usize) -> Option<Self> {
        let (each, seconds) = ((rate / connections).to_string(), seconds.to_string());
        Self::h2load(&["-D", &seconds, "--rps", &each, "-c", &connections.to_string()], to)
    }

    /// As many as are answered, until they are told to stop. A connection that is closed is opened anew.
    pub fn until_stopped(to: SocketAddr, connections: usize) -> Option<Self> {
        let wrk = outside::program("wrk")?;
        let mut command = Command::new(wrk);
        command.args(["-t", "1", "-d", "60s", "--timeout", "20s", "-c", &connections.to_string()]);
        Some(Self::start(command.arg(format!("http://{to}/")), of_wrk))
    }

    fn h2load(arguments: &[&str], to: SocketAddr) -> Option<Self> {
        let mut command = Command::new(outside::program("h2load")?);
        command.args(["--h1", "-t", "1"]).args(arguments).arg(format!("http://{to}/"));
        Some(Self::start(&mut command, of_h2load))
    }

    fn start(command: &mut Command, read: fn(&str) -> Option<Told>) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        Self { child: command.spawn().expect("start a load generator"), read }
    }

    /// Whether they are still at it.
    pub fn goes_on(&mut self) -> bool {
        self.child.try_wait().expect("own child").is_none()
    }

    /// Tells them to stop.
    pub fn stop(mut self) -> Told {
        assert!(self.goes_on(), "they went before they were told to");
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process");
        kill_process(pid, Signal::INT).expect("signal a child that was not waited for");
        self.told()
    }

    /// Waits until they are done.
    #[track_caller]
    pub fn told(mut self) -> Told {
        until("the crowd is done", || (!self.goes_on()).then_some(()));
        let mut said = String::new();
        self.child.stdout.take().expect("piped").read_to_string(&mut said).expect("text");
        let told = (self.read)(&said).unwrap_or_else(|| panic!("no numbers in\n{said}"));
        eprintln!("{} answers, {:.0}/s, {} failed", told.answered, told.rate, told.failed);
        told
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `finished in 2.00s, 1995.00 req/s, …`, then
/// `requests: 3990 total, 4000 started, 3990 done, 3990 succeeded, 0 failed, …` and
/// `status codes: 3990 2xx, 0 3xx, 0 4xx, 0 5xx`.
fn of_h2load(said: &str) -> Option<Told> {
    let line = |start: &str| said.lines().find_map(|it| it.strip_prefix(start));
    let count = |line: &str, word: &str| -> Option<u64> {
        line.split(", ").find_map(|it| it.trim().strip_suffix(word))?.trim().parse().ok()
    };
    let requests = line("requests: ")?;
    let (total, good) = (count(requests, "total")?, count(line("status codes: ")?, "2xx")?);
    let rate = line("finished in ")?.split(", ").nth(1)?.strip_suffix(" req/s")?.parse().ok()?;
    Some(Told { answered: count(requests, "done")?, failed: total - good, rate })
}

/// `41844 requests in 2.01s, …`, `Socket errors: connect 0, read 0, write 0, timeout 0` and
/// `Non-2xx or 3xx responses: 7` where there were any, and `Requests/sec:  20852.23`.
fn of_wrk(said: &str) -> Option<Told> {
    let line = |start: &str| said.lines().find_map(|it| it.trim().strip_prefix(start));
    let answered = said.lines().find_map(|it| it.split_once(" requests in "))?.0.trim().parse().ok()?;
    let numbers = |line: &str| line.split([',', ' ']).filter_map(|it| it.parse::<u64>().ok()).sum::<u64>();
    let failed =
        line("Socket errors:").map_or(0, numbers) + line("Non-2xx or 3xx responses:").map_or(0, numbers);
    Some(Told { answered, failed, rate: line("Requests/sec:")?.trim().parse().ok()? })
}

/// What they say is read as they say it.
pub fn check_reading() {
    let said = "finished in 2.00s, 1995.50 req/s, 81.83KB/s\n\
        requests: 3990 total, 4000 started, 3990 done, 3980 succeeded, 2 failed, 1 errored, 0 timeout\n\
        status codes: 3979 2xx, 1 3xx, 3 4xx, 5 5xx\n";
    assert_eq!(of_h2load(said), Some(Told { answered: 3990, failed: 11, rate: 1995.5 }));
    let said = "  41844 requests in 2.01s, 1.93MB read\n  Socket errors: connect 1, read 2, write 0, timeout 3\n  \
        Non-2xx or 3xx responses: 7\nRequests/sec:  20852.23\n";
    assert_eq!(of_wrk(said), Some(Told { answered: 41844, failed: 13, rate: 20852.23 }));
    assert_eq!((of_h2load(""), of_wrk("unable to connect")), (None, None));
}
