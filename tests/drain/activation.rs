//! Sockets that a service manager opened.

use std::net::{IpAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::support::gate::{free_port, program};
use super::support::outside;
use super::support::{Client, Setup, Unit, Upstream, admin, until};

/// Opens what its arguments say (`name=tcp:ADDRESS:PORT`, `name=unix:PATH`, `name=udp:ADDRESS:PORT`,
/// `name=file:PATH`), puts it where a service manager would, and becomes what follows `--`.
const LAUNCH: &str = r#"
import os, socket, sys
split = sys.argv.index("--")
names, files = [], []
for it in sys.argv[1:split]:
    name, what = it.split("=", 1)
    kind, place = what.split(":", 1)
    if kind == "file":
        files.append(os.open(place, os.O_RDONLY))
    elif kind == "unix":
        it = socket.socket(socket.AF_UNIX)
        it.bind(place)
        it.listen(64)
        files.append(it.detach())
    else:
        host, port = place.rsplit(":", 1)
        it = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
        it.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        it.bind((host, int(port)))
        if kind == "tcp":
            it.listen(64)
        files.append(it.detach())
    names.append(name)
# Out of the way first, so that none is overwritten.
high = [os.dup2(it, 100 + number, inheritable=False) for number, it in enumerate(files)]
for number, it in enumerate(high):
    os.dup2(it, 3 + number, inheritable=True)
os.environ["LISTEN_PID"] = str(os.getpid())
os.environ["LISTEN_FDS"] = str(len(files))
if any(names):
    os.environ["LISTEN_FDNAMES"] = ":".join(names)
command = sys.argv[split + 1:]
os.execv(command[0], command)
"#;

/// What starts the program with these sockets.
fn launcher(unit: &Unit, python: &Path, sockets: &[String]) -> Command {
    let run = unit.command(program().as_ref());
    let mut command = Command::new(python);
    unit.prepare(&mut command);
    command.args(["-c", LAUNCH]).args(sockets).arg("--").arg(run.get_program()).args(run.get_args());
    command
}

fn python() -> Option<PathBuf> {
    outside::python(&["socket"])
}

fn second(unit: &Unit, port: u16) -> String {
    format!("second: {{port: {port}, bind: {}}}", unit.ip())
}

/// Whoever knocks before the program runs is answered when it does: the socket was there.
#[test]
fn sockets_are_matched_by_name_and_by_address() {
    let Some(python) = python() else { return };
    let upstream = Upstream::answering("fine");
    for named in [true, false] {
        let mut unit = Unit::new(Setup::to(&upstream).workers(2));
        let port = free_port(unit.ip());
        let line = second(&unit, port);
        unit.edit(|it| it.add_listener(line));
        let name = |it: &str| if named { it.to_owned() } else { "tidegate.socket".to_owned() };
        let sockets = [
            format!("{}=tcp:{}:{port}", name("second"), unit.ip()),
            format!("{}=tcp:{}", name("http"), unit.address()),
            format!("{}=unix:{}", name("admin"), unit.admin_socket().display()),
        ];
        let mut command = launcher(&unit, &python, &sockets);
        let already_there = TcpListener::bind(unit.address());
        drop(already_there.expect("the port is free"));
        unit.spawn(command_of(&mut command));
        let mut early = until("the launcher's socket", || Client::try_connect(unit.address()).ok());
        assert_eq!(early.get("/").text(), "fine");
        unit.hear("READY=1");
        assert_eq!(Client::connect((unit.ip(), port).into()).get("/").text(), "fine");
        let ready = admin::by_socket(&unit.admin_socket(), "GET", "/readyz", "");
        assert_eq!(ready.status, 200);
        // Shared by both workers: both are told of every connection, one gets it.
        for _ in 0..50 {
            assert_eq!(unit.connect().get("/").text(), "fine");
        }
        // A listener that leaves and comes back finds its socket.
        let text = std::fs::read_to_string(unit.file()).unwrap();
        unit.edit(Setup::only_http);
        until("one listener", || std::fs::read_to_string(unit.file()).ok().filter(|it| *it != text));
        rustix::process::kill_process(unit.pid(), rustix::process::Signal::HUP).unwrap();
        unit.hear("generation 2");
        let line = second(&unit, port);
        unit.edit(|it| it.add_listener(line));
        rustix::process::kill_process(unit.pid(), rustix::process::Signal::HUP).unwrap();
        unit.hear("generation 3");
        assert_eq!(Client::connect((unit.ip(), port).into()).get("/").text(), "fine");

        unit.signal(rustix::process::Signal::TERM);
        assert_eq!(unit.exit_status().code(), Some(0), "{}", unit.log());
        assert!(unit.admin_socket().exists(), "the service manager's file stays");
    }
}

/// Takes the arguments of a prepared command; `Command` itself cannot be moved out of a borrow.
fn command_of(command: &mut Command) -> Command {
    std::mem::replace(command, Command::new("true"))
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let Some(python) = python() else { return };
    let upstream = Upstream::answering("fine");
    let elsewhere = |ip: IpAddr| format!("{ip}:{}", free_port(ip));
    type Sockets = Box<dyn Fn(&Unit) -> Vec<String>>;
    let cases: Vec<(Sockets, &str)> = vec![
        (Box::new(move |it| vec![format!("other=tcp:{}", elsewhere(it.ip()))]), "`other` ("),
        (Box::new(move |it| vec![format!("http=tcp:{}", elsewhere(it.ip()))]), "but the file says"),
        (
            Box::new(move |it| vec![format!("admin=tcp:{}", elsewhere(it.ip()))]),
            "for admin requests listens on",
        ),
        (Box::new(|it| vec![format!("http=udp:{}", it.address())]), "descriptor 3 (`http`)"),
        (Box::new(|it| vec![format!("http=file:{}", it.file().display())]), "descriptor 3 (`http`)"),
        (
            Box::new(|it| vec![format!("http=unix:{}", it.dir().join("elsewhere").display())]),
            "but the admin socket of this configuration is",
        ),
    ];
    for (sockets, said) in cases {
        let mut unit = Unit::new(Setup::to(&upstream));
        let sockets = sockets(&unit);
        let command = launcher(&unit, &python, &sockets);
        unit.spawn(command);
        assert_eq!(unit.exit_status().code(), Some(20), "{sockets:?}: {}", unit.log());
        assert!(unit.log().contains(said), "{sockets:?}: {}", unit.log());
    }
}

/// Neither the number of another process nor no socket at all is in the way of a start.
#[test]
fn nothing_given_is_nothing_special() {
    let upstream = Upstream::answering("fine");
    for (fds, pid) in [("0", None), ("2", Some("1"))] {
        let mut unit = Unit::new(Setup::to(&upstream));
        let mut command = unit.command(program().as_ref());
        command.env("LISTEN_FDS", fds).env("LISTEN_FDNAMES", "");
        if let Some(pid) = pid {
            command.env("LISTEN_PID", pid);
        }
        unit.spawn(command);
        unit.hear("READY=1");
        assert_eq!(unit.connect().get("/").text(), "fine");
    }
}

/// The program of systemd itself that does what a socket unit does.
#[test]
fn systemd_hands_its_socket_over() {
    let Some(activate) = outside::program("systemd-socket-activate") else { return };
    let upstream = Upstream::answering("fine");
    let mut unit = Unit::new(Setup::to(&upstream));
    let run = unit.command(program().as_ref());
    let mut command = Command::new(activate);
    unit.prepare(&mut command);
    command.arg(format!("--listen={}", unit.address())).arg("--fdname=http");
    command.arg("--setenv=NOTIFY_SOCKET").arg(run.get_program()).args(run.get_args());
    command.process_group(0);
    unit.spawn(command);
    // The first connection starts it.
    let mut first = until("systemd listens", || Client::try_connect(unit.address()).ok());
    assert_eq!(first.get("/").text(), "fine");
    unit.hear("READY=1");
}
