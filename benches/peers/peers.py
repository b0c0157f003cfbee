"""Measures tidegate beside other proxies: see docs/reference/benchmarks.md for what and why.

Every proxy runs one worker on core 0; the load generator (wrk, h2load) and the backend run on core 1. What is
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
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from loads import LOAD_CORE, SIZES, Crowd, H2load, Handshakes, Wrk, ask_for_small
from processes import cpu_us, family, free_port, process, rss_kib
from report import markdown, ratios, spread, summarise, verdicts
from rivals import CANARY_PERCENT, PLAIN_ONLY, RIVALS, Place, version_of

PROXY_CORE = 0
IDLE_CONNECTIONS = {"plain": 2000, "tls": 1000}
# Addresses of the loopback range that idle connections come from: a limit per address is on.
IDLE_SOURCES = [f"127.0.1.{n}" for n in range(1, 9)]

CELLS = {
    "small-1": Wrk("/", 1),
    "small-64": Wrk("/", 64),
    "small-1000": Wrk("/", 1000),
    "64k-64": Wrk("/64k", 64),
    "1m-64": Wrk("/1m", 64),
    "https-64": Wrk("/", 64, tls=True),
    "https-1000": Wrk("/", 1000, tls=True),
    "https-64k-64": Wrk("/64k", 64, tls=True),
    "handshake": Handshakes(200),
    "crowd": Crowd(1000),
    "h2-1": H2load(1, 32, tls=True),
    "h2-32": H2load(32, 32, tls=True),
    "h2c-1": H2load(1, 32, tls=False),
    "h2c-32": H2load(32, 32, tls=False),
    "grpc-8": H2load(8, 32, tls=False, grpc=True),
}


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


def check_same_work(name, ports):
    """Sizes and the split, before anything is measured: peers that do other work are no peers."""
    for path, size in SIZES.items():
        status, _, got = fetch(ports["plain"], path)
        if (status, got) != (200, size):
            sys.exit(f"error: {name} answers {path} with status {status} and {got} bytes, not 200 and {size}")
    if name in PLAIN_ONLY:
        return
    connection, count, canary = http.client.HTTPConnection("127.0.0.1", ports["plain"], timeout=5), 400, 0
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


def measure(peer, load, seconds):
    """One cell of one peer: a short warm-up, then the load with the proxy's CPU and memory around it."""
    load.run(peer["ports"], 1, peer["folder"])
    pids = family(peer["child"].pid)
    rss, done = [rss_kib(pids)], threading.Event()

    def watch():
        while not done.wait(0.2):
            rss.append(rss_kib(pids))

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(3):
        before = cpu_us(pids)
        result = load.run(peer["ports"], seconds, peer["folder"])
        spent = cpu_us(pids) - before
        # A machine that is busy with something else may not complete a single one; that says nothing.
        if result["requests"]:
            break
    done.set()
    watcher.join()
    settled = getattr(load, "settled", lambda *_: {})(peer["ports"], seconds, peer["folder"])
    for it in ("socket_errors", "non_2xx"):
        result[it] += settled.pop(it, 0)
    took = result["requests"] / max(result["rps"], 1e-3)
    return result | settled | {
        "cpu_us_per_request": spent / max(1, result["requests"]),
        "cpu_percent": 100 * spent / max(took * 1e6, 1),
        "rss_kib": max(rss),
    }


def idle_bytes(peer, kind):
    """Resident memory of the proxy per kept-alive connection that has had one request and now rests."""
    count, port = IDLE_CONNECTIONS[kind], peer["ports"][kind]
    Wrk("/", 16, tls=kind == "tls").run(peer["ports"], 1, peer["folder"])
    time.sleep(0.5)
    pids = family(peer["child"].pid)
    before, sockets = rss_kib(pids), []
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        for n in range(count):
            source = (IDLE_SOURCES[n % len(IDLE_SOURCES)], 0)
            it = socket.create_connection(("127.0.0.1", port), timeout=5, source_address=source)
            if kind == "tls":
                it = context.wrap_socket(it)
            sockets.append(it)
            ask_for_small(it)
        # What is given back only after a moment of rest counts as given back.
        time.sleep(2)
        after = rss_kib(pids)
    finally:
        for it in sockets:
            it.close()
    return (after - before) * 1024 / count


@contextlib.contextmanager
def all_started(names, given, folder, backends, papers):
    """The chosen peers, fresh, each on core 0 with a folder and ports of its own."""
    with contextlib.ExitStack() as stack:
        peers = {}
        for name in names:
            own = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=folder))
            ports = {it: free_port() for it in ("plain", "tls", "h2c")}
            target = Path(given.target).absolute()
            place = Place(own, target, *backends, *papers, **ports)
            command, environment = RIVALS[name](place)
            log = own / "log"
            child = stack.enter_context(process(command, PROXY_CORE, environment, log))
            wait_until_served(name, ports["plain"], child, log)
            check_same_work(name, ports)
            peers[name] = {"name": name, "ports": ports, "child": child, "folder": own}
        yield peers


def certificate(folder):
    """A P-256 key and a certificate for localhost, and both in one file."""
    cert, key, pem = folder / "cert.pem", folder / "key.pem", folder / "both.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", key, "-out", cert],
        check=True, capture_output=True, stdin=subprocess.DEVNULL,
    )
    pem.write_text(cert.read_text() + key.read_text())
    key.chmod(0o600)
    pem.chmod(0o600)
    return cert, key, pem


# --- the whole ----------------------------------------------------------------------------------------


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
    parser.add_argument("--peers", default=",".join(RIVALS), help=f"some of {','.join(RIVALS)}")
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
        IDLE_CONNECTIONS.update(plain=200, tls=100)
    given.peers = [it for it in given.peers.split(",") if it]
    given.cells = [it for it in given.cells.split(",") if it]
    for name, known in [*((it, RIVALS) for it in given.peers), *((it, CELLS) for it in given.cells)]:
        if name not in known:
            parser.error(f"unknown name `{name}`: one of {', '.join(known)}")
    return given


def run(given, folder):
    target = Path(given.target).absolute()
    backends = [free_port(), free_port(), free_port()]
    command = [target / "examples" / "backend", *(f"127.0.0.1:{it}" for it in backends)]
    papers = certificate(folder)
    speaks = lambda name, kind: kind == "plain" or name not in PLAIN_ONLY
    cells = {cell: [it for it in given.peers if speaks(it, CELLS[cell].port)] for cell in given.cells}
    rounds = {cell: {peer: [] for peer in peers} for cell, peers in cells.items()}
    idle = {kind: {it: [] for it in given.peers if speaks(it, kind)} for kind in IDLE_CONNECTIONS if not given.no_idle}
    with process(command, LOAD_CORE, {}, folder / "backend.log") as backend:
        wait_until_served("backend", backends[0], backend, folder / "backend.log")
        for turn in range(given.rounds):
            # Everybody is first once, so that no peer always follows the same one.
            order = given.peers[turn % len(given.peers):] + given.peers[:turn % len(given.peers)]
            with all_started(order, given, folder, backends, papers) as peers:
                for cell in given.cells:
                    for name in order:
                        if name not in cells[cell]:
                            continue
                        got = measure(peers[name], CELLS[cell], given.seconds)
                        rounds[cell][name].append(got)
                        print(f"round {turn + 1}/{given.rounds} {cell:12} {name:8} "
                              f"{got['cpu_us_per_request']:8.1f} µs/request {got['rps']:10.0f} requests/s "
                              f"{got['cpu_percent']:4.0f} % of the core", file=sys.stderr)
            for kind, measured in idle.items():
                for name in order:
                    if name not in measured:
                        continue
                    # A fresh process each: memory that was needed before must not be found again here.
                    with all_started([name], given, folder, backends, papers) as peers:
                        measured[name].append(idle_bytes(peers[name], kind))
                    print(f"round {turn + 1}/{given.rounds} idle {kind:7} {name:8} "
                          f"{measured[name][-1] / 1024:8.2f} KiB/connection", file=sys.stderr)
    return summarise(rounds), {kind: {peer: spread(values) for peer, values in it.items()} for kind, it in idle.items()}


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
    table = markdown(summary, ratio, idle, CELLS, IDLE_CONNECTIONS)
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
        "goals": [{"goal": g, "measured": m, "reached": r} for g, m, r in verdicts(summary, ratio, idle)],
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
