"""Processes of the bench: started on a core, looked at through the kernel's accounting, ended by their id."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path


def binary(name):
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if not found:
        sys.exit(f"error: {name} is not installed")
    return found


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
