//! The program under test: started, watched, and ended with the test.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::admin;
use super::client::Client;
use super::message::Response;
use super::setup::{Place, Setup};
use super::wait::{PATIENCE, until, within};

/// A running `tidegate`.
pub struct Gate {
    child: Option<Child>,
    dir: TempDir,
    ip: IpAddr,
    http: u16,
    admin: u16,
    setup: Setup,
    quiet: bool,
    /// Whether a panic is what the test is about.
    clumsy: bool,
    /// A program that starts the next process, and its arguments.
    under: Vec<String>,
}

impl Gate {
    /// Writes the file, starts the program and waits until it is ready.
    #[track_caller]
    pub fn start(setup: Setup) -> Self {
        Self::start_laid_out(setup, put)
    }

    /// Like [`Gate::start`], with the file put in place by `lay`.
    #[track_caller]
    pub fn start_laid_out(setup: Setup, lay: impl FnOnce(&Path, &str)) -> Self {
        let dir = TempDir::with_prefix("tidegate-test-").expect("temporary directory");
        let ip = own_ip();
        let (http, admin) = (free_port(ip), free_port(ip));
        let mut gate =
            Self { child: None, dir, ip, http, admin, setup, quiet: false, clumsy: false, under: Vec::new() };
        fs::create_dir(gate.conf_dir()).expect("a directory for the configuration");
        lay(&gate.file(), &gate.text());
        gate.spawn();
        if !gate.ready() {
            gate.quiet = true;
            panic!("tidegate did not get ready with\n{}\nand said\n{}", gate.text(), gate.log());
        }
        gate.setup.wait_for_first_connections();
        gate
    }

    /// Address of the listener `http`.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.http)
    }

    /// Address of every listener.
    pub fn ip(&self) -> IpAddr {
        self.ip
    }

    /// A free port on the gate's own address.
    pub fn spare_port(&self) -> u16 {
        free_port(self.ip)
    }

    /// Address of the admin listener.
    pub fn admin_address(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.admin)
    }

    /// A fresh connection.
    #[track_caller]
    pub fn connect(&self) -> Client {
        Client::connect(self.address())
    }

    /// `GET target` on a fresh connection.
    #[track_caller]
    pub fn get(&self, target: &str) -> Response {
        self.connect().get(target)
    }

    /// The answer to raw bytes on a fresh connection.
    #[track_caller]
    pub fn answer_to(&self, bytes: impl AsRef<[u8]>) -> Response {
        self.connect().send(bytes).response()
    }

    /// Directory of everything that belongs to it.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Directory of the configuration file and of nothing else.
    pub fn conf_dir(&self) -> PathBuf {
        self.dir.path().join("conf")
    }

    /// The configuration file.
    pub fn file(&self) -> PathBuf {
        self.conf_dir().join("tidegate.yaml")
    }

    /// The admin socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("admin.sock")
    }

    /// The state directory.
    pub fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// What the setup says as text.
    pub fn text(&self) -> String {
        self.text_of(&self.setup)
    }

    /// What another setup would say here.
    pub fn text_of(&self, setup: &Setup) -> String {
        setup.text(&Place { ip: self.ip, http: self.http, admin: self.admin, dir: self.dir.path() })
    }

    /// The setup that was last written.
    pub fn setup(&self) -> Setup {
        self.setup.clone()
    }

    /// Puts a new file in the place of the old one.
    pub fn write(&self, text: &str) {
        put(&self.file(), text);
    }

    /// Changes the setup and puts the new file in place.
    pub fn edit(&mut self, change: impl FnOnce(Setup) -> Setup) {
        self.setup = change(self.setup.clone());
        self.write(&self.text());
    }

    /// Changes the setup, puts the new file in place and waits until it is in force.
    #[track_caller]
    pub fn reload(&mut self, change: impl FnOnce(Setup) -> Setup) {
        let before = self.generation();
        self.edit(change);
        until("a newer generation", || (self.generation() > before).then_some(()));
    }

    /// Number of the generation that serves.
    #[track_caller]
    pub fn generation(&self) -> u64 {
        self.metric("tidegate_config_generation", &[]) as u64
    }

    /// The share that a version of `shop` is given, from 0 to 1.
    #[track_caller]
    pub fn weight(&self, version: &str) -> f64 {
        self.metric("tidegate_traffic_weight_ratio", &[("service", "shop"), ("version", version)])
    }

    /// The sum of the samples of a metric that carry these labels.
    #[track_caller]
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        admin::sum(&self.metrics(), name, labels)
    }

    /// The metrics page.
    #[track_caller]
    pub fn metrics(&self) -> String {
        admin::get(self.admin_address(), "/metrics").text()
    }

    /// A page of the admin listener.
    #[track_caller]
    pub fn admin(&self, path: &str) -> Response {
        admin::get(self.admin_address(), path)
    }

    /// A JSON document of the admin listener.
    #[track_caller]
    pub fn json(&self, path: &str) -> serde_json::Value {
        let response = self.admin(path);
        assert_eq!(response.status, 200, "{path}: {}", response.text());
        serde_json::from_slice(&response.body).expect("JSON")
    }

    /// The answer to a question through the Unix socket: `POST`, `/api/v1/…`, JSON.
    #[track_caller]
    pub fn ask(&self, method: &str, path: &str, body: &str) -> Response {
        admin::by_socket(&self.socket(), method, path, body)
    }

    /// The release of `shop` as JSON.
    #[track_caller]
    pub fn release(&self) -> serde_json::Value {
        self.json("/api/v1/services/shop")
    }

    /// The word for what the release of `shop` does.
    #[track_caller]
    pub fn state(&self) -> String {
        self.release()["state"].as_str().expect("a word").to_owned()
    }

    /// Waits until the release of `shop` is in this state.
    #[track_caller]
    pub fn reaches(&self, state: &str) {
        let mut last = String::new();
        let reached = within(PATIENCE, || {
            last = self.state();
            (last == state).then_some(())
        });
        assert!(reached.is_some(), "{last}, never {state}: {:#}", self.release());
    }

    /// Everything it has logged and printed.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("running").id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).expect("a process");
        kill_process(pid, signal).expect("signal a child that was not waited for");
    }

    /// Waits until it has ended by itself.
    #[track_caller]
    pub fn exit_status(&mut self) -> ExitStatus {
        let child = self.child.as_mut().expect("running");
        let status = until("the process ends", || child.try_wait().expect("own child"));
        self.child = None;
        status
    }

    /// Ends it without a chance to say goodbye.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it again with the file as it is.
    #[track_caller]
    pub fn start_again(&mut self) {
        assert!(self.child.is_none(), "still running");
        self.spawn();
        assert!(self.ready(), "did not get ready again");
    }

    /// Starts it again under another program, which must become the process itself. `false` when it ended
    /// before it was ready.
    pub fn try_start_under(&mut self, words: &[&str]) -> bool {
        assert!(self.child.is_none(), "still running");
        self.under = words.iter().map(|it| (*it).to_owned()).collect();
        self.spawn();
        self.under.clear();
        let ready = self.ready();
        if !ready {
            self.kill();
        }
        ready
    }

    /// Starts it again with its state, as it is, on a disk of 64 KiB. Where that disk is seen from here; `None`
    /// where no file systems can be mounted.
    pub fn try_start_on_a_small_disk(&mut self) -> Option<String> {
        let state = self.state_dir().display().to_string();
        let script = format!(
            "mkdir -p {state}.copy && cp -p {state}/* {state}.copy/ \
             && mount -t tmpfs -o size=64k,mode=700 tmpfs {state} && cp -p {state}.copy/* {state}/ && exec \"$@\""
        );
        let started = self.try_start_under(&["unshare", "-m", "sh", "-c", &script, "sh"]);
        started.then(|| format!("/proc/{}/root{state}", self.pid()))
    }

    /// Panics in its log are what the test is about.
    pub fn may_panic(&mut self) {
        self.clumsy = true;
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.as_mut().is_some_and(|it| it.try_wait().expect("own child").is_none())
    }

    /// Memory that it uses now, in bytes.
    pub fn memory(&self) -> u64 {
        self.memory_of("VmRSS:")
    }

    /// The most memory that it has used since [`Gate::forget_peak`], in bytes, as the kernel has kept it.
    pub fn memory_peak(&self) -> u64 {
        self.memory_of("VmHWM:")
    }

    /// From now on the peak is of what comes. Where the kernel cannot forget, it goes on from the start.
    pub fn forget_peak(&self) {
        let _ = fs::write(format!("/proc/{}/clear_refs", self.pid()), "5");
    }

    fn memory_of(&self, key: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("running");
        let line = status.lines().find_map(|it| it.strip_prefix(key)).expect("a process has memory");
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kilobytes * 1024
    }

    /// Processor time that its threads have used. Other work on the machine is no part of it.
    pub fn cpu(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid())).expect("running");
        let nanoseconds = |task: std::io::Result<fs::DirEntry>| {
            let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse::<u64>().ok()
        };
        Duration::from_nanos(tasks.filter_map(nanoseconds).sum())
    }

    /// How many file descriptors it holds.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("running").count()
    }

    /// How many sockets it has. Unlike its other descriptors they are all there when it says that it is ready.
    pub fn sockets(&self) -> usize {
        let files = fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("running");
        // One that was closed meanwhile leads nowhere.
        let targets = files.filter_map(|it| fs::read_link(it.ok()?.path()).ok());
        targets.filter(|it| it.to_string_lossy().starts_with("socket:")).collect::<HashSet<_>>().len()
    }

    /// How many threads it has.
    pub fn threads(&self) -> usize {
        fs::read_dir(format!("/proc/{}/task", self.pid())).expect("running").count()
    }

    fn log_file(&self) -> PathBuf {
        self.dir.path().join("gate.log")
    }

    fn spawn(&mut self) {
        let open = || fs::OpenOptions::new().create(true).append(true).open(self.log_file()).expect("log");
        let (first, rest) = self.under.split_first().map_or((program(), &[][..]), |it| (it.0.as_str(), it.1));
        let mut command = Command::new(first);
        if !self.under.is_empty() {
            command.args(rest).arg(program());
        }
        let child = command
            .args(["run", "-c"])
            .arg(self.file())
            .args(self.setup.arguments())
            .env("NO_COLOR", "1")
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stdout(open())
            .stderr(open())
            .spawn()
            .expect("start tidegate");
        self.child = Some(child);
    }

    fn ready(&mut self) -> bool {
        let start = Instant::now();
        while start.elapsed() < PATIENCE && self.runs() {
            // Over TCP it may ask for TLS.
            let plain = admin::try_get(self.admin_address(), "/readyz");
            let answer = plain.or_else(|| admin::try_by_socket(&self.socket(), "GET", "/readyz", ""));
            if answer.is_some_and(|it| it.status == 200) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let ended = self.child.as_mut().and_then(|it| it.try_wait().ok().flatten());
        self.kill();
        if !std::thread::panicking() {
            let log = self.log();
            assert!(ended.is_none(), "tidegate ended by itself, {ended:?}:\n{log}");
            assert!(self.clumsy || !log.contains("panicked at"), "tidegate panicked:\n{log}");
            return;
        }
        if !self.quiet {
            let text = fs::read_to_string(self.file()).unwrap_or_default();
            let log = self.log();
            let tail = &log[log.ceil_char_boundary(log.len().saturating_sub(20_000))..];
            eprintln!("--- configuration\n{text}--- log\n{tail}---");
        }
    }
}

/// Puts a file in place by writing another one and renaming it.
pub fn put(file: &Path, text: &str) {
    let mut fresh = file.as_os_str().to_owned();
    fresh.push(".new");
    fs::write(&fresh, text).expect("write the configuration");
    fs::rename(&fresh, file).expect("rename the configuration");
}

/// The program under test: the one that was built with the tests, or the one that `TIDEGATE_TEST_PROGRAM` names.
pub fn program() -> &'static str {
    static PROGRAM: LazyLock<String> = LazyLock::new(|| {
        let Some(named) = std::env::var_os("TIDEGATE_TEST_PROGRAM") else {
            return env!("CARGO_BIN_EXE_tidegate").to_owned();
        };
        let named = Path::new(&named);
        // Some tests start it from other directories.
        match named.canonicalize() {
            Ok(path) => path.into_os_string().into_string().expect("a path in UTF-8"),
            Err(error) => panic!("TIDEGATE_TEST_PROGRAM is {}: {error}", named.display()),
        }
    });
    &PROGRAM
}

/// A loopback address that no other gate of this or another test process uses: two programs that both
/// share ports between their workers could otherwise share one with each other, silently.
pub fn own_ip() -> IpAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let pid = std::process::id() % (250 * 250);
    let (high, low) = (pid / 250, pid % 250);
    let number = NEXT.fetch_add(1, Ordering::SeqCst);
    let byte = |it: u32| u8::try_from(it).expect("below 250");
    Ipv4Addr::new(127, byte(high) + 1, byte(low) + 1, number).into()
}

/// A port of the kernel's choice, and each only once: until somebody listens there, the kernel may choose it again.
pub fn free_port(ip: IpAddr) -> u16 {
    static CHOSEN: Mutex<BTreeSet<SocketAddr>> = Mutex::new(BTreeSet::new());
    loop {
        let listener = TcpListener::bind((ip, 0)).expect("bind a loopback address");
        let address = listener.local_addr().expect("bound");
        if CHOSEN.lock().expect("nobody panics here").insert(address) {
            return address.port();
        }
    }
}
