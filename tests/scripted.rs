//! Exchanges played by other people's programs: varnishtest on both sides of the gate from scripts in
//! `scripted/`, and nginx and HAProxy behind it, whose own records must agree with ours.

mod support;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use support::gate::{free_port, own_ip};
use support::{Client, Gate, Setup, outside, until};
use tempfile::TempDir;

/// Plays one script with varnishtest in front of the gate and behind it.
fn play(script: &str, listener: &str) {
    let Some(varnishtest) = outside::program("varnishtest") else { return };
    let upstream = SocketAddr::new(own_ip(), free_port(own_ip()));
    let setup = Setup::default().version("v1", &[upstream]);
    let gate = Gate::start(if listener.is_empty() { setup } else { setup.listener(listener) });
    let defined = |name: &str, value: &str| format!("-D{name}={value}");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripted").join(script);
    let said = Command::new(varnishtest)
        .args(["-t", "30", "-l"])
        .arg(defined("gate", &format!("{} {}", gate.address().ip(), gate.address().port())))
        .arg(defined("upstream", &format!("{} {}", upstream.ip(), upstream.port())))
        .arg(defined("client", "127.0.0.1"))
        .arg(file)
        .env("TMPDIR", gate.dir())
        .stdin(Stdio::null())
        .output()
        .expect("varnishtest runs");
    assert!(said.status.success(), "{script}:\n{}", String::from_utf8_lossy(&said.stdout));
}

#[test]
fn bodies_keep_their_content() {
    play("body.vtc", "");
}

#[test]
fn what_belongs_to_one_connection_ends_there() {
    play("hops.vtc", "");
}

#[test]
fn interim_answers_arrive_first() {
    play("interim.vtc", "");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    play("pipeline.vtc", "");
}

/// A server of somebody else's making behind the gate; ended with the test.
struct Server {
    child: Child,
    address: SocketAddr,
    dir: TempDir,
}

impl Server {
    fn start(program: &Path, config: impl Fn(&Path, SocketAddr) -> String, arguments: &[&str]) -> Self {
        let dir = TempDir::with_prefix("tidegate-server-").expect("temporary directory");
        let address = SocketAddr::new(own_ip(), free_port(own_ip()));
        let file = dir.path().join("config");
        fs::write(&file, config(dir.path(), address)).expect("configuration written");
        let log = fs::File::create(dir.path().join("said")).expect("log");
        let arguments = arguments.iter().map(|it| it.replace("CONFIG", file.to_str().expect("a plain path")));
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("log"))
            .stderr(log)
            .spawn()
            .expect("the server starts");
        let server = Self { child, address, dir };
        until("the server listens", || Client::try_connect(server.address).ok().map(drop));
        server
    }

    fn log(&self, name: &str) -> String {
        fs::read_to_string(self.dir.path().join(name)).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nobody to tell.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }
}

/// Echoes the path, and writes a line for each request that it has read to its end.
fn nginx_config(dir: &Path, address: SocketAddr) -> String {
    let dir = dir.display();
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    format!(
        "{user} daemon off; worker_processes 1; pid {dir}/pid; error_log {dir}/error;
         events {{ worker_connections 256; }}
         http {{
           log_format seen '$request_method $request_uri $content_length $http_transfer_encoding';
           access_log {dir}/access seen;
           client_body_temp_path {dir}/1; proxy_temp_path {dir}/2; fastcgi_temp_path {dir}/3;
           uwsgi_temp_path {dir}/4; scgi_temp_path {dir}/5;
           keepalive_requests 100000;
           server {{ listen {address}; location / {{ return 200 $request_uri; }} }}
         }}"
    )
}

fn haproxy_config(_: &Path, address: SocketAddr) -> String {
    format!(
        "global\n  nbthread 1\n  log stdout format raw local0\n\
         defaults\n  mode http\n  log global\n  log-format \"seen %HM %HPO\"\n  \
         timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n\
         frontend all\n  bind {address}\n  option http-buffer-request\n  \
         http-request return status 200 content-type text/plain lf-string \"%[pathq]\"\n"
    )
}

/// Every raw case goes through the gate; behind each, other clients on the same kept connections ask for
/// a word of their own and must get it. Nothing may reach the server that the gate has not counted.
fn agrees(server: &Server, seen: impl Fn() -> usize) {
    let gate = Gate::start(Setup::default().version("v1", &[server.address]));
    let cases: serde_json::Value =
        serde_json::from_str(include_str!("data/http1.json")).expect("the cases are JSON");
    let cases = cases["requests"].as_array().expect("requests");
    assert!(cases.len() > 30, "{} cases", cases.len());
    for (n, case) in cases.iter().enumerate() {
        let raw = case["bytes"].as_str().expect("raw bytes");
        let mut attacker = gate.connect();
        // A refused request may be answered before it is sent whole.
        let _ = attacker.offer(support::message::bytes_of(raw));
        for turn in 0..3 {
            let word = format!("/word-{n}-{turn}");
            let got = gate.get(&word);
            assert_eq!((got.status, got.text()), (200, word), "after {}", case["id"]);
        }
    }
    // An upload that breaks off may end before the server has noticed its beginning, never the other way.
    let counted = gate.metric("tidegate_attempts_total", &[]) as usize;
    let words = 3 * cases.len();
    until("the server has written everything down", || (seen() >= words).then_some(()));
    assert!(seen() <= counted, "the server saw {} requests, the gate sent {counted}", seen());
}

#[test]
fn nginx_sees_what_the_gate_sent() {
    let Some(nginx) = outside::program("nginx") else { return };
    let server = Server::start(&nginx, nginx_config, &["-c", "CONFIG"]);
    agrees(&server, || server.log("access").lines().count());
}

#[test]
fn haproxy_sees_what_the_gate_sent() {
    let Some(haproxy) = outside::program("haproxy") else { return };
    let server = Server::start(&haproxy, haproxy_config, &["-db", "-f", "CONFIG"]);
    agrees(&server, || server.log("said").lines().filter(|it| it.starts_with("seen ")).count());
}

/// Says who it believes the client to be, by the header of the PROXY protocol that it insists on.
fn nginx_behind(dir: &Path, address: SocketAddr) -> String {
    let dir = dir.display();
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    format!(
        "{user} daemon off; worker_processes 1; pid {dir}/pid; error_log {dir}/error;
         events {{ worker_connections 256; }}
         http {{
           access_log off;
           client_body_temp_path {dir}/1; proxy_temp_path {dir}/2; fastcgi_temp_path {dir}/3;
           uwsgi_temp_path {dir}/4; scgi_temp_path {dir}/5;
           server {{
             listen {address} proxy_protocol;
             location / {{
               return 200 \"$proxy_protocol_addr:$proxy_protocol_port \
$proxy_protocol_server_addr:$proxy_protocol_server_port $connection\";
             }}
           }}
         }}"
    )
}

fn haproxy_behind(_: &Path, address: SocketAddr) -> String {
    format!(
        "global\n  nbthread 1\n  log stdout format raw local0\n\
         defaults\n  mode http\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n\
         frontend all\n  bind {address} accept-proxy\n  \
         http-request return status 200 content-type text/plain \
         lf-string \"%[src]:%[src_port] %[dst]:%[dst_port] %[fc_http_major]\"\n"
    )
}

/// Other people's servers read the header as it is meant.
fn learns_who_the_client_is(server: &Server) {
    for form in ["v1", "v2"] {
        let written = format!("{{endpoints: \"http://{}\", proxy_protocol: {form}}}", server.address);
        let gate = Gate::start(Setup::default().version_as("v1", written));
        let mut clients: Vec<Client> = (0..3).map(|_| gate.connect()).collect();
        for _ in 0..3 {
            for client in &mut clients {
                let text = client.get("/").text();
                let expected = format!("{} {} ", client.wire().local_address(), gate.address());
                assert!(text.starts_with(&expected), "{form}: {text}, not {expected}");
            }
        }
        assert_eq!(gate.metric("tidegate_upstream_errors_total", &[]), 0.0, "{form}");
    }
}

#[test]
fn nginx_learns_who_the_client_is() {
    let Some(nginx) = outside::program("nginx") else { return };
    learns_who_the_client_is(&Server::start(&nginx, nginx_behind, &["-c", "CONFIG"]));
}

#[test]
fn haproxy_learns_who_the_client_is() {
    let Some(haproxy) = outside::program("haproxy") else { return };
    learns_who_the_client_is(&Server::start(&haproxy, haproxy_behind, &["-db", "-f", "CONFIG"]));
}
