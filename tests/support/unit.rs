//! The program under a service manager: it is told where to report, what it reports is read, and whoever
//! it hands over to is known and ended with the test.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::admin;
use super::client::Client;
use super::gate::{free_port, own_ip, program, put};
use super::setup::{Place, Setup};
use super::wait::{PATIENCE, until};

/// A place where a `tidegate run` is started, reports, and leaves its files.
pub struct Unit {
    dir: TempDir,
    ip: IpAddr,
    http: u16,
    admin: u16,
    socket: UnixDatagram,
    child: Option<Child>,
    /// Processes that were made the main one.
    mains: Vec<Pid>,
    /// Everything that was reported.
    told: Vec<String>,
    setup: Setup,
}

impl Unit {
    /// Writes the file; nothing runs yet.
    pub fn new(setup: Setup) -> Self {
        let dir = TempDir::with_prefix("tidegate-unit-").expect("temporary directory");
        let ip = own_ip();
        let (http, admin) = (free_port(ip), free_port(ip));
        let socket = UnixDatagram::bind(dir.path().join("notify")).expect("a socket to report to");
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let (child, mains, told) = (None, Vec::new(), Vec::new());
        let unit = Self { dir, ip, http, admin, socket, child, mains, told, setup };
        unit.write();
        unit
    }

    /// Starts it and waits until it reports that it is ready.
    #[track_caller]
    pub fn start(setup: Setup) -> Self {
        let mut unit = Self::new(setup);
        let command = unit.command(Path::new(program()));
        unit.spawn(command);
        unit.hear("READY=1");
        unit
    }

    /// What would start it.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        self.prepare(&mut command);
        command.args(["run", "-c"]).arg(self.file()).args(self.setup.arguments());
        command
    }

    /// The environment and the log of a command.
    pub fn prepare(&self, command: &mut Command) {
        let log = || {
            let file = self.dir.path().join("log");
            fs::OpenOptions::new().create(true).append(true).open(file).expect("log")
        };
        command.env("NOTIFY_SOCKET", self.dir.path().join("notify")).env("NO_COLOR", "1");
        command.stdin(Stdio::null()).stdout(log()).stderr(log());
    }

    /// Starts a command that becomes the process.
    pub fn spawn(&mut self, mut command: Command) {
        assert!(self.child.is_none(), "still running");
        // A copy of the program may still be open for writing in a child that another test has just forked.
        let started = until("a program that nobody writes", || match command.spawn() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => None,
            started => Some(started),
        });
        self.child = Some(started.expect("start tidegate"));
    }

    /// Waits for a report that holds `wanted`; those before it are kept in [`Unit::told`].
    #[track_caller]
    pub fn hear(&mut self, wanted: &str) -> String {
        loop {
            let Some(text) = self.report() else { panic!("never said {wanted}:\n{}", self.log()) };
            if text.contains(wanted) {
                return text;
            }
        }
    }

    /// Takes every report that has come.
    pub fn hear_all(&mut self) {
        self.socket.set_read_timeout(Some(Duration::from_millis(1))).expect("a socket");
        while self.report().is_some() {}
        self.socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
    }

    fn report(&mut self) -> Option<String> {
        let mut bytes = [0; 4096];
        let length = self.socket.recv(&mut bytes).ok()?;
        let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
        let main = text.lines().find_map(|it| it.strip_prefix("MAINPID="));
        self.mains.extend(main.and_then(|it| Pid::from_raw(it.parse().ok()?)));
        self.told.push(text.clone());
        Some(text)
    }

    /// Everything that was reported and heard.
    pub fn told(&self) -> &[String] {
        &self.told
    }

    /// Address of the listener `http`.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.http)
    }

    /// Address of every listener.
    pub fn ip(&self) -> IpAddr {
        self.ip
    }

    /// Address of the admin listener.
    pub fn admin_address(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.admin)
    }

    /// Directory of everything that belongs to it.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The configuration.
    pub fn file(&self) -> PathBuf {
        self.dir.path().join("tidegate.yaml")
    }

    /// The admin socket.
    pub fn admin_socket(&self) -> PathBuf {
        self.dir.path().join("admin.sock")
    }

    /// Changes the setup and puts the new file in place.
    pub fn edit(&mut self, change: impl FnOnce(Setup) -> Setup) {
        self.setup = change(self.setup.clone());
        self.write();
    }

    fn write(&self) {
        let at = Place { ip: self.ip, http: self.http, admin: self.admin, dir: self.dir.path() };
        put(&self.file(), &self.setup.text(&at));
    }

    /// A fresh connection.
    #[track_caller]
    pub fn connect(&self) -> Client {
        Client::connect(self.address())
    }

    /// The release of `shop` as JSON.
    #[track_caller]
    pub fn release(&self) -> serde_json::Value {
        let response = admin::get(self.admin_address(), "/api/v1/services/shop");
        serde_json::from_slice(&response.body).unwrap_or_else(|it| panic!("{it}: {}", response.text()))
    }

    /// Waits until the release of `shop` is in this state.
    #[track_caller]
    pub fn reaches(&self, state: &str) {
        until(state, || (self.release()["state"] == state).then_some(()));
    }

    /// A sum over samples of a metric.
    #[track_caller]
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        admin::sum(&admin::get(self.admin_address(), "/metrics").text(), name, labels)
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// The process that was started here.
    pub fn pid(&self) -> Pid {
        Pid::from_child(self.child.as_ref().expect("running"))
    }

    /// The process that is in charge: the one started here, or the last that was handed over to.
    pub fn main(&self) -> Pid {
        self.mains.last().copied().unwrap_or_else(|| self.pid())
    }

    /// Sends a signal to the process in charge.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.main(), signal).expect("a process");
    }

    /// Waits until the process that was started here has ended by itself.
    #[track_caller]
    pub fn exit_status(&mut self) -> ExitStatus {
        let child = self.child.as_mut().expect("running");
        let status = until("the end of the process", || child.try_wait().expect("own child"));
        self.child = None;
        status
    }

    /// Whether the process that was started here still runs.
    pub fn runs(&mut self) -> bool {
        self.child.as_mut().is_some_and(|it| it.try_wait().expect("own child").is_none())
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        self.hear_all();
        for pid in self.mains.drain(..) {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::KILL);
        }
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
        let log = self.log();
        if std::thread::panicking() {
            eprintln!("--- reports\n{:#?}\n--- log\n{log}---", self.told);
        } else {
            assert!(!log.contains("panicked at"), "tidegate panicked:\n{log}");
        }
    }
}
