//! Whose server it is that answers on the Unix socket, and whom its directory must belong to.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::gate::program;
use crate::support::{Gate, Setup, Upstream, command, outside};

/// Somebody who owns nothing here: `nobody`, on most systems.
const OTHER: u32 = 65_534;

/// What makes the next program theirs; `None` if there is nobody here who could.
fn as_other() -> Option<Vec<String>> {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can act as somebody else");
        return None;
    }
    let setpriv = outside::program("setpriv")?;
    // A checkout in a home directory may be out of their reach.
    let reach =
        Command::new(&setpriv).args(OTHERS).arg(program()).arg("version").stdout(Stdio::null()).status();
    if !reach.is_ok_and(|it| it.success()) {
        eprintln!("skipped: somebody else cannot run the program where it lies");
        return None;
    }
    let setpriv = setpriv.to_str().expect("a plain path").to_owned();
    Some([vec![setpriv], OTHERS.map(str::to_owned).to_vec()].concat())
}

const OTHERS: [&str; 3] = ["--reuid=65534", "--regid=65534", "--clear-groups"];

fn give_away(path: &Path) {
    chown(path, Some(OTHER), Some(OTHER)).expect("root gives it away");
    if path.is_dir() {
        fs::read_dir(path).expect("a directory").for_each(|it| give_away(&it.expect("an entry").path()));
    }
}

/// A verb in a directory, as whoever `words` make it.
fn within(directory: &Path, words: &[String], arguments: &[&str]) -> Output {
    let all: Vec<&str> =
        words.iter().map(String::as_str).chain([program()]).chain(arguments.iter().copied()).collect();
    let mut command = Command::new(all[0]);
    command.args(&all[1..]).current_dir(directory).stdin(Stdio::null()).env("NO_COLOR", "1");
    command.env_remove("TIDEGATE_URL").env("TIDEGATE_TOKEN", "2b7e151628aed2a6abf7158809cf4f3c");
    command.output().expect("run tidegate")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_server_of_somebody_else_is_not_taken_for_the_one_that_is_meant() {
    let Some(other) = as_other() else { return };
    let upstream = Upstream::answering("fine");
    let mut gate: Gate = Setup::to(&upstream).start();
    assert_eq!(gate.command("status").code, 0, "our own");
    gate.kill();
    give_away(gate.dir());
    let words: Vec<&str> = other.iter().map(String::as_str).collect();
    assert!(gate.try_start_under(&words), "{}", gate.log());
    // Everybody can make a directory where test directories are, and call it as ours.
    let said = gate.command("promote shop");
    assert_eq!(said.code, 4, "{said:?}");
    let socket = gate.socket();
    let expected = format!("answers at `{}`", socket.display());
    assert!(said.err.contains(&expected) && said.err.contains("a server of "), "{}", said.err);
    assert!(said.err.contains("hint: run this as that user"), "{}", said.err);
    let file = gate.file();
    let theirs = within(gate.dir(), &other, &["status", "-c", file.to_str().expect("a plain path")]);
    assert!(theirs.status.success(), "{}", text(&theirs.stderr));
    let by_address = gate.command(&format!("status --server http://{}", gate.admin_address()));
    assert_eq!(by_address.code, 0, "{}", by_address.err);
}

/// What lies where one happens to be, and is somebody else's, gets no token.
#[test]
fn a_file_of_somebody_else_leads_no_token_away() {
    if as_other().is_none() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).expect("a directory");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let file = directory.path().join("tidegate.yaml");
    let asked = |arguments: &[&str]| {
        std::thread::scope(|scope| {
            // One connection to see whether anybody is there, and one for the request.
            let heard = scope.spawn(|| {
                drop(listener.accept().expect("a visitor"));
                let (mut stream, _) = listener.accept().expect("a visitor");
                let mut head = vec![0; 4_096];
                let count = stream.read(&mut head).expect("a request");
                stream.write_all(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n").expect("an answer");
                text(&head[..count]).to_lowercase()
            });
            let said = within(directory.path(), &[], arguments);
            assert_eq!(said.status.code(), Some(4), "{}", text(&said.stderr));
            (heard.join().expect("a request"), text(&said.stderr))
        })
    };
    let written = format!(
        "{{listen: 1, state: st, admin: {{listen: \"{address}\"}}, \
         services: {{shop: {{live: a, versions: {{a: http://127.0.0.1:2}}}}}}}}"
    );
    fs::write(&file, written).expect("a file");
    let (mine, _) = asked(&["retry", "shop"]);
    assert!(mine.contains("authorization: bearer 2b7e"), "{mine}");
    give_away(&file);
    let (theirs, said) = asked(&["retry", "shop"]);
    assert!(!theirs.contains("authorization"), "{theirs}");
    assert!(said.contains("note: `tidegate.yaml` here belongs to "), "{said}");
    // Whoever names it means it.
    let (named, _) = asked(&["retry", "shop", "-c", "tidegate.yaml"]);
    assert!(named.contains("authorization: bearer 2b7e"), "{named}");
}

#[test]
fn a_server_does_not_start_where_others_could_take_its_place() {
    let upstream = Upstream::answering("fine");
    let mut gate = Setup::to(&upstream).start();
    gate.kill();
    let file = gate.file();
    let starts = || command::run(&["run", "-c", file.to_str().expect("a plain path")]);
    let mode = |mode| fs::set_permissions(gate.dir(), Permissions::from_mode(mode)).expect("our own");
    mode(0o770);
    let said = starts();
    assert!(said.code == 20 && said.err.contains("others may write in"), "{said:?}");
    // The directory of the socket is fine, and the one above it is not.
    let deep = gate.dir().join("deep/admin.sock");
    gate.write(
        &gate.text().replace(gate.socket().to_str().expect("a plain path"), deep.to_str().expect("plain")),
    );
    mode(0o777);
    let said = starts();
    assert!(said.code == 20 && said.err.contains("everybody may write in"), "{said:?}");
    mode(0o700);
    if chown(gate.dir(), Some(OTHER), Some(OTHER)).is_ok() {
        let said = starts();
        let theirs = format!("`{}` belongs to ", gate.dir().display());
        assert!(said.code == 20 && said.err.contains(&theirs), "{said:?}");
        chown(gate.dir(), Some(0), None).expect("root's");
        mode(0o770);
        let said = starts();
        assert!(said.code == 20 && said.err.contains("a group may write in"), "{said:?}");
        mode(0o700);
        chown(deep.parent().expect("a directory"), Some(OTHER), None).expect("root's");
        let said = starts();
        assert!(said.code == 20 && said.err.contains(" belongs to "), "{said:?}");
    }
}
