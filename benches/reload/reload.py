"""Reloads at full load.

wrk drives one tidegate over keep-alive connections while its file is replaced again and again: the split
moves between 10 % and 20 %, a route comes and goes, a limit changes. Every replacement is a new file under
the old name, and is announced by SIGHUP. Counted: requests, answers other than 200, broken connections,
generations that were really loaded, resident memory before and after.

Two acts: `calm`, 100 reloads spread over 2 million requests, and `storm`, 1000 in ten seconds.
"""

import argparse
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = ROOT / "target/release"


def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


def config(ports, state, turn):
    split = 10 + 10 * (turn % 2)
    extra = "- {match: {path: /sometimes}, to: shop}\n" if turn % 3 == 0 else ""
    return f"""listen: {{http: {{port: {ports['data']}, bind: 127.0.0.1, limits: {{requests: 1000000000}}}}}}
admin: {{listen: "127.0.0.1:{ports['admin']}"}}
state: {state}
workers: 1
services:
  shop:
    live: a
    versions:
      a: http://127.0.0.1:{ports['a']}
      b: http://127.0.0.1:{ports['b']}
    split: {{b: {split}%}}
    timeouts: {{head: {30 + turn % 5}s}}
routes:
- {{match: {{path: /always}}, to: shop}}
{extra}"""


def write(path, text):
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    os.chmod(fresh, 0o600)
    os.replace(fresh, path)


def get(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return answer.read().decode()


def metric(port, name):
    found = re.search(rf"^{name}(?:{{[^}}]*}})? (\S+)$", get(port, "/metrics"), re.M)
    return float(found.group(1)) if found else 0.0


def resident_kib(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text()).group(1))


def pinned(core, *command, **more):
    cores = sorted(os.sched_getaffinity(0))
    return subprocess.Popen(["taskset", "-c", str(cores[core % len(cores)]), *map(str, command)], **more)


def act(name, seconds, reloads, span):
    """`reloads` replacements spread over `span` seconds, under `seconds` of load."""
    ports = {it: free_port() for it in ("data", "admin", "a", "b")}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        file, state = folder / "tidegate.yaml", folder / "state"
        write(file, config(ports, state, 0))
        backend = pinned(1, BIN / "examples/backend", f"127.0.0.1:{ports['a']}", f"127.0.0.1:{ports['b']}")
        proxy = pinned(0, BIN / "tidegate", "run", "-c", file, stderr=subprocess.DEVNULL)
        try:
            for _ in range(200):
                try:
                    get(ports["admin"], "/readyz")
                    break
                except OSError:
                    time.sleep(0.05)
            before = resident_kib(proxy.pid)
            wrk = pinned(1, "wrk", "-t1", "-c64", f"-d{seconds}s", f"http://127.0.0.1:{ports['data']}/always",
                         stdout=subprocess.PIPE, text=True)
            time.sleep(1)
            began = time.monotonic()
            for turn in range(1, reloads + 1):
                write(file, config(ports, state, turn))
                proxy.send_signal(signal.SIGHUP)
                time.sleep(max(0.0, began + span * turn / reloads - time.monotonic()))
            out = wrk.communicate(timeout=seconds + 30)[0]
            generation = metric(ports["admin"], "tidegate_config_generation")
            time.sleep(1)
            after = resident_kib(proxy.pid)
        finally:
            for process in (proxy, backend):
                process.kill()
                process.wait()
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", out)
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    return {
        "act": name,
        "requests": int(re.search(r"(\d+) requests in", out).group(1)),
        "reloads_asked": reloads,
        "generations_loaded": int(generation) - 1,
        "failed_answers": int(bad.group(1)) if bad else 0,
        "broken_connections": sum(map(int, errors.groups())) if errors else 0,
        "requests_per_second": float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1)),
        "resident_kib": [before, after],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=2_000_000, help="requests of the calm act, at least")
    parser.add_argument("--quick", action="store_true", help="a few seconds, to see that it runs")
    parser.add_argument("--check", action="store_true", help="status 1 if a request failed")
    parser.add_argument("--no-build", action="store_true")
    parser.add_argument("--json", default=str(ROOT / "target/bench/reload.json"))
    options = parser.parse_args()
    acts = []
    if options.quick:
        acts.append(act("calm", 4, 10, 2))
        acts.append(act("storm", 5, 200, 2))
    else:
        rate = act("warm-up", 4, 1, 1)["requests_per_second"]
        seconds = int(options.requests / rate * 1.15) + 3
        calm = act("calm", seconds, 100, seconds - 4)
        acts += [calm, act("storm", 14, 1000, 10)]
    print("| act | requests | reloads asked | loaded | failed answers | broken connections | RSS before, after |")
    print("|---|---|---|---|---|---|---|")
    for it in acts:
        before, after = it["resident_kib"]
        print(f"| {it['act']} | {it['requests']:,} | {it['reloads_asked']} | {it['generations_loaded']} | "
              f"{it['failed_answers']} | {it['broken_connections']} | {before / 1024:.1f}, {after / 1024:.1f} MiB |")
    target = pathlib.Path(options.json)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(acts, indent=2) + "\n")
    failed = sum(it["failed_answers"] + it["broken_connections"] for it in acts)
    sys.exit(1 if options.check and failed else 0)


main()
