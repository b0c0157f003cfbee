"""What is asked of a proxy, by whom: wrk for HTTP/1.1, h2load for HTTP/2, gRPC and fresh handshakes."""

import re
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

LOAD_CORE = 1
# From so many connections on, opening them takes long enough to be seen in a percentile.
MANY = 1000
WARM_UP_SECONDS = 2
ASK_EVERY_SECONDS = 0.004
PATIENCE_SECONDS = 10
SIZES = {"/": 128, "/64k": 64 << 10, "/1m": 1 << 20}


@dataclass(frozen=True)
class Wrk:
    """Keep-alive connections that send GET after GET."""

    path: str
    connections: int
    tls: bool = False

    port = property(lambda self: "tls" if self.tls else "plain")

    def title(self):
        size = {"/": "128 bytes", "/64k": "64 KiB", "/1m": "1 MiB"}[self.path]
        many = f"{self.connections} connection{'s' if self.connections > 1 else ''}"
        return f"{'HTTPS, ' if self.tls else ''}GET, {size}, {many}"

    def run(self, ports, seconds, _folder):
        url = f"http{'s' if self.tls else ''}://127.0.0.1:{ports[self.port]}{self.path}"
        out = generated(["wrk", "-t1", f"-c{self.connections}", f"-d{seconds}s", "--latency", "--timeout", "10s", url],
                        seconds)
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

    def settled(self, ports, seconds, folder):
        """How long requests take when all connections are open. wrk cannot tell: a request's time runs while wrk
        itself is still busy opening the other connections, and it counts what was late several times."""
        if self.connections < MANY:
            return {}
        url = f"http{'s' if self.tls else ''}://127.0.0.1:{ports[self.port]}{self.path}"
        log = folder / "h2load.log"
        log.unlink(missing_ok=True)
        command = ["h2load", "--h1", "-t1", f"-c{self.connections}", "-m1", f"-D{seconds}",
                   f"--warm-up-time={WARM_UP_SECONDS}", f"--log-file={log}", url]
        said = h2load_said(generated(command, seconds + WARM_UP_SECONDS), log)
        return {it: said[it] for it in ("p50_us", "p99_us", "socket_errors", "non_2xx")}


@dataclass(frozen=True)
class H2load:
    """HTTP/2 connections with so many streams open at any time."""

    connections: int
    streams: int
    tls: bool
    grpc: bool = False

    port = property(lambda self: "tls" if self.tls else "h2c")

    def title(self):
        many = f"{self.connections} connection{'s' if self.connections > 1 else ''} × {self.streams} streams"
        what = "gRPC unary call" if self.grpc else "GET, 128 bytes"
        return f"HTTP/2 {'over TLS' if self.tls else 'in clear text'}, {what}, {many}"

    def run(self, ports, seconds, folder):
        path = "/bench.Echo/Say" if self.grpc else "/"
        url = f"http{'s' if self.tls else ''}://127.0.0.1:{ports[self.port]}{path}"
        log = folder / "h2load.log"
        log.unlink(missing_ok=True)
        command = ["h2load", "-t1", f"-c{self.connections}", f"-m{self.streams}", f"-D{seconds}", f"--log-file={log}"]
        if self.grpc:
            call = folder / "call"
            # A gRPC message: not compressed, 16 bytes long.
            call.write_bytes(b"\0\0\0\0\x10" + b"x" * 16)
            command += ["-d", call, "-H", "content-type: application/grpc", "-H", "te: trailers"]
        return h2load_said(generated([*command, url], seconds), log)


@dataclass(frozen=True)
class Handshakes:
    """Fresh TLS connections, one after another on so many clients, each for one request. No session is resumed."""

    at_once: int
    port = "tls"

    def title(self):
        return f"Full TLS handshakes, {self.at_once} clients at once, one request each"

    def run(self, ports, seconds, folder, nice=0):
        url = f"https://127.0.0.1:{ports['tls']}/"
        total = {"requests": 0, "socket_errors": 0, "non_2xx": 0, "seconds": 0.0}
        log = folder / "h2load.log"
        while total["seconds"] < seconds:
            log.unlink(missing_ok=True)
            count = self.at_once
            command = ["h2load", "--h1", "-t1", f"-c{count}", f"-n{count}", "-m1", f"--log-file={log}", url]
            said = h2load_said(generated(command, seconds, nice), log)
            for key in ("requests", "socket_errors", "non_2xx"):
                total[key] += said[key]
            total["seconds"] += max(said["seconds"], 1e-3)
            if not said["requests"]:
                break
        return {
            "requests": total["requests"],
            "rps": total["requests"] / max(total["seconds"], 1e-3),
            "p50_us": said["p50_us"],
            "p99_us": said["p99_us"],
            "socket_errors": total["socket_errors"],
            "non_2xx": total["non_2xx"],
        }


@dataclass(frozen=True)
class Crowd:
    """Again and again so many clients arrive at once and shake hands, while one that has its connection already goes
    on asking. The percentiles are that one's."""

    arrivals: int
    port = "tls"

    def title(self):
        return f"One client in clear text, while {self.arrivals} at once arrive over TLS (p50, p99: of the one)"

    def run(self, ports, seconds, folder):
        one, done = Regular(ports["plain"]), threading.Event()
        with ThreadPoolExecutor() as pool:
            asker = pool.submit(one.ask_until, done)
            try:
                # They yield to the one, with which they share a core: what is measured is the proxy.
                said = Handshakes(self.arrivals).run(ports, seconds, folder, nice=10)
            finally:
                done.set()
            asker.result()
        said["socket_errors"] += one.errors
        return said | {"p50_us": one.quantile(0.5), "p99_us": one.quantile(0.99)}


class Regular:
    """A client that keeps its connection and asks for the small answer every few milliseconds. What a proxy does not
    answer within `PATIENCE_SECONDS` counts as an error that took as long as was waited."""

    def __init__(self, port):
        self.port, self.times, self.errors = port, [], 0

    def ask_until(self, done):
        while not done.is_set():
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_SECONDS) as connection:
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    while not done.is_set():
                        self.ask(connection)
                        time.sleep(ASK_EVERY_SECONDS)
            except OSError:
                self.errors += 1
                time.sleep(ASK_EVERY_SECONDS)

    def ask(self, connection):
        begun = time.monotonic()
        try:
            ask_for_small(connection)
        finally:
            self.times.append((time.monotonic() - begun) * 1e6)

    def quantile(self, share):
        times = sorted(self.times)
        return times[min(len(times) - 1, int(share * len(times)))] if times else 0.0


def ask_for_small(connection):
    """One request for the small answer, and all of that, over a connection that stays."""
    # By the name that all have been told: Caddy answers others with nothing.
    host = "%s:%d" % connection.getpeername()[:2]
    connection.sendall(f"GET / HTTP/1.1\r\nhost: {host}\r\n\r\n".encode())
    got = b""
    while not got.endswith(b"x" * SIZES["/"]):
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionError(f"a connection was closed: {got[:200]!r}")
        got += piece


def generated(command, seconds, nice=0):
    run = subprocess.run(
        ["taskset", "-c", str(LOAD_CORE), "nice", "-n", str(nice), *map(str, command)],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=seconds + 60,
    )
    return run.stdout + run.stderr


def h2load_said(out, log: Path):
    found = re.search(r"finished in ([\d.]+)(us|ms|s), ([\d.]+) req/s", out)
    counts = re.search(r"(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", out)
    codes = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", out)
    if not (found and counts and codes):
        sys.exit(f"error: h2load said:\n{out}")
    done, _, failed, errored, late = (int(it) for it in counts.groups())
    # Each line: when it began, its status, microseconds.
    times = sorted(int(it.split("\t")[2]) for it in log.read_text().splitlines()) if log.exists() else []
    quantile = lambda share: float(times[min(len(times) - 1, int(share * len(times)))]) if times else 0.0
    good, *others = (int(it) for it in codes.groups())
    return {
        "requests": good,
        "rps": float(found[3]),
        "seconds": float(found[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1}[found[2]],
        "p50_us": quantile(0.5),
        "p99_us": quantile(0.99),
        # What a run over time has open when its time is over was never answered; that is not an error.
        "socket_errors": max(0, errored + late + failed - sum(others)),
        "non_2xx": sum(others),
    }


WRK_UNITS = {"us": 1, "ms": 1e3, "s": 1e6, "m": 60e6}


def wrk_us(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * WRK_UNITS[unit]
