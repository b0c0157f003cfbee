"""Measures tidegate beside other proxies: see docs/reference/benchmarks.md for what and why.

Every proxy runs one worker on core 0; the load generator (wrk) and the backend run on core 1. What is
compared is CPU time of the proxy's processes per request, from the kernel's accounting, so that a proxy
which waits for its backend is not charged for waiting. Only processes started here are ended, by their id.
"""

import argparse
import contextlib
import datetime
import http.client
import json
import os
import platform
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

PROXY_CORE, LOAD_CORE = 0, 1
CANARY_PERCENT = 10
IDLE_CONNECTIONS = 2000
# Addresses of the loopback range that idle connections come from: a limit per address is on.
IDLE_SOURCES = [f"127.0.1.{n}" for n in range(1, 9)]

# name: (path, connections)
CELLS = {
    "small-1": ("/", 1),
    "small-64": ("/", 64),
    "small-1000": ("/", 1000),
    "64k-64": ("/64k", 64),
    "1m-64": ("/1m", 64),
}
SIZES = {"/": 128, "/64k": 64 << 10, "/1m": 1 << 20}


# --- peers: a configuration, a command ------------------------------------------------------------


def tidegate(port, backends, folder, target):
    config = folder / "tidegate.yaml"
    # Split, telemetry, timeouts and limits are all as they come: on.
    config.write_text(f"""\
listen: {{main: {{port: {port}, bind: 127.0.0.1}}}}
admin: {{listen: 127.0.0.1:{free_port()}, socket: {folder}/admin.sock}}
state: {folder}/state
workers: 1
services:
  bench:
    live: a
    versions:
      a: http://127.0.0.1:{backends[0]}
      b: http://127.0.0.1:{backends[1]}
    split: {{b: {CANARY_PERCENT}%}}
""")
    return [target / "tidegate", "run", "-c", config], {}


def nginx(port, backends, folder, _target):
    config = folder / "nginx.conf"
    # Upstream keep-alive, no access log, no spilling of large bodies to disk.
    config.write_text(f"""\
{"user root;" if os.getuid() == 0 else ""}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log crit;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 10000;
  upstream bench {{
    server 127.0.0.1:{backends[0]} weight={100 - CANARY_PERCENT};
    server 127.0.0.1:{backends[1]} weight={CANARY_PERCENT};
    keepalive 1024;
    keepalive_requests 100000;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://bench;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_max_temp_file_size 0;
    }}
  }}
}}
""")
    return [binary("nginx"), "-p", folder, "-e", folder / "error.log", "-c", config], {}


def haproxy(port, backends, folder, _target):
    config = folder / "haproxy.cfg"
    config.write_text(f"""\
global
  nbthread 1
  maxconn 8192
defaults
  mode http
  option forwardfor
  http-reuse always
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  timeout http-request 10s
  timeout http-keep-alive 60s
frontend bench
  bind 127.0.0.1:{port} backlog 4096
  default_backend versions
backend versions
  balance roundrobin
  server a 127.0.0.1:{backends[0]} weight {100 - CANARY_PERCENT}
  server b 127.0.0.1:{backends[1]} weight {CANARY_PERCENT}
""")
    return [binary("haproxy"), "-db", "-f", config], {}


def caddy(port, backends, folder, _target):
    config = folder / "Caddyfile"
    # This Caddy has no weights, so the first backend is named nine times.
    most = 100 // CANARY_PERCENT - 1
    upstreams = " ".join([f"127.0.0.1:{backends[0]}"] * most + [f"127.0.0.1:{backends[1]}"])
    config.write_text(f"""\
{{
  admin off
  auto_https off
  servers {{
    protocols h1
  }}
}}
http://127.0.0.1:{port} {{
  bind 127.0.0.1
  reverse_proxy {upstreams} {{
    lb_policy round_robin
    transport http {{
      keepalive_idle_conns 4096
      keepalive_idle_conns_per_host 4096
    }}
  }}
}}
""")
    home = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    return [binary("caddy"), "run", "--adapter", "caddyfile", "--config", config], home | {"GOMAXPROCS": "1"}


def relay(port, backends, _folder, target):
    return [target / "examples" / "relay", f"127.0.0.1:{port}", *(f"127.0.0.1:{it}" for it in backends)], {}


PEERS = {it.__name__: it for it in (tidegate, nginx, haproxy, caddy, relay)}
# The relay splits by connection: it knows no requests.
SPLITS_REQUESTS = {"tidegate", "nginx", "haproxy", "caddy"}
VERSION_COMMANDS = {
    "tidegate": ["version"],
    "nginx": ["-v"],
    "haproxy": ["-v"],
    "caddy": ["version"],
}


def binary(name):
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if not found:
        sys.exit(f"error: {name} is not installed")
    return found


# --- processes --------------------------------------------------------------------------------------


@contextlib.contextmanager
def process(command, core, environment, log):
    """A child on one core, with all it starts; ended by its id when the block ends."""
    with open(log, "wb") as output:
        child = subprocess.Popen(
            ["taskset", "-c", str(core), *map(str, command)],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=os.environ | environment,
        )
    try:
        yield child
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGINT if "caddy" in str(command[0]) else signal.SIGTERM)
            try:
                child.wait(timeout=3)
            except subprocess.TimeoutExpired:
                for pid in reversed(family(child.pid)):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                child.wait()


def family(pid):
    """`pid` and all processes that came from it."""
    found, at = [pid], 0
    while at < len(found):
        for task in Path(f"/proc/{found[at]}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += [int(it) for it in task.read_text().split()]
        at += 1
    return found


TICK_US = 1e6 / os.sysconf("SC_CLK_TCK")


def cpu_us(pids):
    """User and system time of whole processes, all their threads."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total * TICK_US


def rss_kib(pids):
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            found = re.search(r"^VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.M)
            total += int(found[1]) if found else 0
    return total


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_served(name, port, child, log, patience=15):
    until = time.monotonic() + patience
    while time.monotonic() < until:
        if child.poll() is not None:
            break
        with contextlib.suppress(OSError, http.client.HTTPException):
            if fetch(port, "/")[0] == 200:
                return
        time.sleep(0.05)
    sys.exit(f"error: {name} does not answer on port {port}:\n{Path(log).read_text(errors='replace')[-2000:]}")


def fetch(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.getheader("x-version"), len(answer.read())
    finally:
        connection.close()


def check_same_work(name, port):
    """Sizes and the split, before anything is measured: peers that do other work are no peers."""
    for path, size in SIZES.items():
        status, _, got = fetch(port, path)
        if (status, got) != (200, size):
            sys.exit(f"error: {name} answers {path} with status {status} and {got} bytes, not 200 and {size}")
    if name not in SPLITS_REQUESTS:
        return
    connection, count, canary = http.client.HTTPConnection("127.0.0.1", port, timeout=5), 400, 0
    for _ in range(count):
        connection.request("GET", "/")
        answer = connection.getresponse()
        answer.read()
        canary += answer.getheader("x-version") == "b"
    connection.close()
    share = 100 * canary / count
    if not CANARY_PERCENT / 2.5 <= share <= CANARY_PERCENT * 2:
        sys.exit(f"error: {name} gives version b {share:.1f} % of the requests, not {CANARY_PERCENT} %")


# --- measuring --------------------------------------------------------------------------------------

WRK_UNITS = {"us": 1, "ms": 1e3, "s": 1e6, "m": 60e6}


def wrk_us(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * WRK_UNITS[unit]


def load(port, path, connections, seconds):
    """One run of wrk; its own words about it."""
    command = ["taskset", "-c", str(LOAD_CORE), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s",
               "--latency", "--timeout", "10s", f"http://127.0.0.1:{port}{path}"]
    out = subprocess.run(
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=seconds + 60
    ).stdout
    requests = re.search(r"(\d+) requests in ([\d.]+)(m?s|m),", out)
    if not requests:
        sys.exit(f"error: wrk said:\n{out}")
    quantile = lambda percent: wrk_us(re.search(rf"^\s+{percent}%\s+(\S+)", out, re.M)[1])
    errors = sum(int(it) for it in re.findall(r"(?:connect|read|write|timeout) (\d+)", out))
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    return {
        "requests": int(requests[1]),
        "rps": float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]),
        "p50_us": quantile(50),
        "p99_us": quantile(99),
        "socket_errors": errors,
        "non_2xx": int(refused[1]) if refused else 0,
    }


def measure(peer, path, connections, seconds):
    """One cell of one peer: a short warm-up, then the load with the proxy's CPU and memory around it."""
    load(peer["port"], path, connections, 1)
    pids = family(peer["child"].pid)
    rss, done = [rss_kib(pids)], threading.Event()

    def watch():
        while not done.wait(0.2):
            rss.append(rss_kib(pids))

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(3):
        before = cpu_us(pids)
        result = load(peer["port"], path, connections, seconds)
        spent = cpu_us(pids) - before
        # A machine that is busy with something else may not complete a single one; that says nothing.
        if result["requests"]:
            break
    done.set()
    watcher.join()
    return result | {
        "cpu_us_per_request": spent / max(1, result["requests"]),
        "cpu_percent": 100 * spent / (seconds * 1e6),
        "rss_kib": max(rss),
    }


def idle_bytes(peer, count):
    """Resident memory of the proxy per kept-alive connection that has had one request and now rests."""
    load(peer["port"], "/", 16, 1)
    time.sleep(0.5)
    pids, port = family(peer["child"].pid), peer["port"]
    before, sockets = rss_kib(pids), []
    request = f"GET / HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n\r\n".encode()
    try:
        for n in range(count):
            source = (IDLE_SOURCES[n % len(IDLE_SOURCES)], 0)
            it = socket.create_connection(("127.0.0.1", port), timeout=5, source_address=source)
            sockets.append(it)
            it.sendall(request)
            got = b""
            while not got.endswith(b"x" * SIZES["/"]):
                piece = it.recv(65536)
                if not piece:
                    sys.exit(f"error: {peer['name']} closed idle connection {n}: {got[:200]!r}")
                got += piece
        # What is given back only after a moment of rest counts as given back.
        time.sleep(2)
        after = rss_kib(pids)
    finally:
        for it in sockets:
            it.close()
    return (after - before) * 1024 / count


@contextlib.contextmanager
def all_started(names, target, folder, backends):
    """The chosen peers, fresh, each on core 0 with a folder and a port of its own."""
    with contextlib.ExitStack() as stack:
        peers = {}
        for name in names:
            place = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=folder))
            port = free_port()
            command, environment = PEERS[name](port, backends, place, target)
            log = place / "log"
            child = stack.enter_context(process(command, PROXY_CORE, environment, log))
            wait_until_served(name, port, child, log)
            check_same_work(name, port)
            peers[name] = {"name": name, "port": port, "child": child}
        yield peers


# --- results ----------------------------------------------------------------------------------------

MEASURES = ("cpu_us_per_request", "cpu_percent", "rps", "p50_us", "p99_us", "rss_kib")


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "rounds": values}


def summarise(rounds):
    """{cell: {peer: [round, ..]}} to medians with their spread."""
    return {
        cell: {
            peer: {it: spread([r[it] for r in runs]) for it in MEASURES}
            | {it: sum(r[it] for r in runs) for it in ("requests", "socket_errors", "non_2xx")}
            for peer, runs in peers.items()
        }
        for cell, peers in rounds.items()
    }


def ratios(summary):
    """CPU per request of tidegate as a share of every other peer's, by medians."""
    found = {}
    for cell, peers in summary.items():
        own = peers.get("tidegate")
        for peer, it in peers.items():
            if own and peer != "tidegate":
                there = it["cpu_us_per_request"]["median"]
                found.setdefault(cell, {})[peer] = own["cpu_us_per_request"]["median"] / max(there, 1e-9)
    return found


# (what, cell, peer, largest ratio)
TARGETS = [("small-64", "haproxy", 0.80), ("small-64", "nginx", 0.75), ("small-64", "relay", 1.25)]
IDLE_TARGET_BYTES = 6 * 1024


def verdicts(ratio, idle):
    """What was to be reached, what was measured, and whether that is enough."""
    found = []
    for cell, peer, limit in TARGETS:
        if (got := ratio.get(cell, {}).get(peer)) is not None:
            found.append((f"{cell}: CPU per request ≤ {limit:.2f} × {peer}", f"{got:.2f}", got <= limit))
    for cell, peers in ratio.items():
        rivals = [peers[it] for it in ("nginx", "haproxy") if it in peers]
        if cell != "small-64" and rivals:
            # No worse than the better one: the ratio to the cheaper rival is the larger ratio.
            got = max(rivals)
            found.append((f"{cell}: CPU per request ≤ the better of nginx and HAProxy", f"{got:.2f}", got <= 1))
    if "tidegate" in idle:
        got = idle["tidegate"]["median"]
        found.append(("idle keep-alive connection ≤ 6 KiB", f"{got / 1024:.2f} KiB", got <= IDLE_TARGET_BYTES))
    return found


def number(value, digits=1):
    return f"{value:,.{digits}f}"


def cell_of(it, digits, scale=1.0):
    low, high = number(it["min"] / scale, digits), number(it["max"] / scale, digits)
    return f"{number(it['median'] / scale, digits)} ({low}–{high})"


def markdown(summary, ratio, idle):
    lines = []
    for cell, peers in summary.items():
        path, connections = CELLS[cell]
        size = {"/": "128 bytes", "/64k": "64 KiB", "/1m": "1 MiB"}[path]
        lines += [
            f"### GET, {size}, {connections} connection{'s' if connections > 1 else ''}", "",
            "| proxy | CPU µs per request | tidegate ÷ it | requests/s | p50 ms | p99 ms | core used % | RSS MiB | errors |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for peer, it in peers.items():
            share = ratio.get(cell, {}).get(peer)
            lines.append("| " + " | ".join([
                peer,
                cell_of(it["cpu_us_per_request"], 1),
                "" if share is None else f"{share:.2f}",
                cell_of(it["rps"], 0),
                cell_of(it["p50_us"], 2, 1e3),
                cell_of(it["p99_us"], 2, 1e3),
                number(it["cpu_percent"]["median"], 0),
                number(it["rss_kib"]["median"] / 1024, 1),
                str(it["socket_errors"] + it["non_2xx"]),
            ]) + " |")
        lines.append("")
    if idle:
        lines += [f"### Memory per idle keep-alive connection ({IDLE_CONNECTIONS} of them, one request each before)",
                  "", "| proxy | KiB |", "|---|---|"]
        lines += [f"| {peer} | {cell_of(it, 2, 1024)} |" for peer, it in idle.items()]
        lines.append("")
    if found := verdicts(ratio, idle):
        lines += ["### To reach", "", "| goal | measured | reached |", "|---|---|---|"]
        lines += [f"| {goal} | {got} | {'yes' if reached else '**no**'} |" for goal, got, reached in found]
        lines.append("")
    return "\n".join(lines)


def version_of(name, target):
    if name not in VERSION_COMMANDS:
        return ""
    program = target / name if name == "tidegate" else binary(name)
    said = subprocess.run([str(program), *VERSION_COMMANDS[name]], capture_output=True, text=True)
    return (said.stdout + said.stderr).strip().splitlines()[0] if said.stdout + said.stderr else ""


def machine():
    model = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    return {
        "cpu": model[1] if model else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "load_before": os.getloadavg()[0],
    }


def arguments():
    parser = argparse.ArgumentParser(prog="benches/peers/run", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="rounds, interleaved over the peers (default 5)")
    parser.add_argument("--seconds", type=int, default=4, help="seconds of load in each cell (default 4)")
    parser.add_argument("--peers", default=",".join(PEERS), help=f"some of {','.join(PEERS)}")
    parser.add_argument("--cells", default=",".join(CELLS), help=f"some of {','.join(CELLS)}; empty for none")
    parser.add_argument("--no-idle", action="store_true", help="leave out the memory of idle connections")
    parser.add_argument("--quick", action="store_true", help="one round of one second: shows that it runs, no more")
    parser.add_argument("--json", default="target/bench/peers.json", help="where the JSON goes")
    parser.add_argument("--markdown", default="target/bench/peers.md", help="where the table goes, beside stdout")
    parser.add_argument("--target", default="target/release", help="where tidegate and the examples were built")
    parser.add_argument("--no-build", action="store_true", help="measure what is built already")
    parser.add_argument("--check", action="store_true", help="exit 1 when a goal is missed")
    given = parser.parse_args()
    if given.quick:
        given.rounds, given.seconds = 1, 1
    given.peers = [it for it in given.peers.split(",") if it]
    given.cells = [it for it in given.cells.split(",") if it]
    for name, known in [*((it, PEERS) for it in given.peers), *((it, CELLS) for it in given.cells)]:
        if name not in known:
            parser.error(f"unknown name `{name}`: one of {', '.join(known)}")
    return given


def run(given, folder):
    target = Path(given.target).absolute()
    backends = [free_port(), free_port()]
    command = [target / "examples" / "backend", *(f"127.0.0.1:{it}" for it in backends)]
    rounds = {cell: {peer: [] for peer in given.peers} for cell in given.cells}
    idle = {} if given.no_idle else {peer: [] for peer in given.peers}
    with process(command, LOAD_CORE, {}, folder / "backend.log") as backend:
        wait_until_served("backend", backends[0], backend, folder / "backend.log")
        for turn in range(given.rounds):
            # Everybody is first once, so that no peer always follows the same one.
            order = given.peers[turn % len(given.peers):] + given.peers[:turn % len(given.peers)]
            with all_started(order, target, folder, backends) as peers:
                for cell in given.cells:
                    for name in order:
                        got = measure(peers[name], *CELLS[cell], given.seconds)
                        rounds[cell][name].append(got)
                        print(f"round {turn + 1}/{given.rounds} {cell:10} {name:8} "
                              f"{got['cpu_us_per_request']:8.1f} µs/request {got['rps']:10.0f} requests/s "
                              f"{got['cpu_percent']:4.0f} % of the core", file=sys.stderr)
            for name in order if idle else []:
                # A fresh process each: memory that was needed before must not be found again here.
                with all_started([name], target, folder, backends) as peers:
                    idle[name].append(idle_bytes(peers[name], IDLE_CONNECTIONS))
                    print(f"round {turn + 1}/{given.rounds} idle       {name:8} "
                          f"{idle[name][-1] / 1024:8.2f} KiB/connection", file=sys.stderr)
    return summarise(rounds), {peer: spread(values) for peer, values in idle.items()}


def main():
    given = arguments()
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("error: two cores are needed, one for the proxy and one for the load")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 20_000)), hard))
    about = machine()
    # What this script itself needs is taken from the load's core, never from the proxy's.
    os.sched_setaffinity(0, {LOAD_CORE})
    with tempfile.TemporaryDirectory(prefix="tidegate-peers-") as folder:
        # nginx's worker may be another user.
        os.chmod(folder, 0o755)
        summary, idle = run(given, Path(folder))
    ratio = ratios(summary)
    table = markdown(summary, ratio, idle)
    result = {
        "what": "tidegate peers bench",
        "at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": about,
        "versions": {it: version_of(it, Path(given.target).absolute()) for it in given.peers},
        "rounds": given.rounds,
        "seconds": given.seconds,
        "cells": summary,
        "cpu_ratio_of_tidegate": ratio,
        "idle_bytes_per_connection": idle,
        "goals": [{"goal": g, "measured": m, "reached": r} for g, m, r in verdicts(ratio, idle)],
    }
    for path, text in ((given.json, json.dumps(result, indent=1) + "\n"), (given.markdown, table)):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text)
    print(table)
    print(f"JSON: {given.json}", file=sys.stderr)
    if given.check and not all(it["reached"] for it in result["goals"]):
        sys.exit(1)


if __name__ == "__main__":
    main()
