"""From rounds to medians, ratios, goals and tables."""

import statistics

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


# (cell, peer, largest ratio)
GOALS = [
    ("small-64", "haproxy", 0.80),
    ("small-64", "nginx", 0.75),
    ("small-64", "relay", 1.25),
    ("https-64", "haproxy", 0.85),
    ("handshake", "haproxy", 1.00),
    *((cell, peer, most) for cell in ("h2-1", "h2-32", "h2c-1", "h2c-32") for peer, most in (("nginx", 0.80), ("envoy", 0.50))),
]
IDLE_GOAL_BYTES = 6 * 1024
# No worse than the better one of nginx and HAProxy.
BETTER = ("small-1", "small-1000", "64k-64", "1m-64")
# The 99th percentile no worse than the best peer's that answers everything.
LATENCY = ("small-1000", "https-1000")


def verdicts(summary, ratio, idle):
    """What was to be reached, what was measured, and whether that is enough."""
    found = []
    for cell, peer, most in GOALS:
        if (got := ratio.get(cell, {}).get(peer)) is not None:
            found.append((f"{cell}: CPU per request ≤ {most:.2f} × {peer}", f"{got:.2f}", got <= most))
    for cell in BETTER:
        rivals = [ratio[cell][it] for it in ("nginx", "haproxy") if it in ratio.get(cell, {})]
        if rivals:
            # The ratio to the cheaper rival is the larger ratio.
            got = max(rivals)
            found.append((f"{cell}: CPU per request ≤ the better of nginx and HAProxy", f"{got:.2f}", got <= 1))
    for cell in LATENCY:
        peers = summary.get(cell, {})
        rivals = [it["p99_us"]["median"] for name, it in peers.items() if name not in ("tidegate", "relay")]
        if "tidegate" in peers and rivals:
            got = peers["tidegate"]["p99_us"]["median"] / max(min(rivals), 1e-9)
            found.append((f"{cell}: p99 ≤ the best peer's", f"{got:.2f}", got <= 1))
    if "tidegate" in idle.get("plain", {}):
        got = idle["plain"]["tidegate"]["median"]
        found.append(("idle keep-alive connection ≤ 6 KiB", f"{got / 1024:.2f} KiB", got <= IDLE_GOAL_BYTES))
    return found


def number(value, digits=1):
    return f"{value:,.{digits}f}"


def cell_of(it, digits, scale=1.0):
    low, high = number(it["min"] / scale, digits), number(it["max"] / scale, digits)
    return f"{number(it['median'] / scale, digits)} ({low}–{high})"


def markdown(summary, ratio, idle, cells, idle_connections):
    lines = []
    for cell, peers in summary.items():
        lines += [
            f"### {cells[cell].title()}", "",
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
    for kind, peers in idle.items():
        what = "TLS" if kind == "tls" else "plain"
        lines += [f"### Memory per idle {what} connection ({idle_connections[kind]} of them, one request each before)",
                  "", "| proxy | KiB |", "|---|---|"]
        lines += [f"| {peer} | {cell_of(it, 2, 1024)} |" for peer, it in peers.items()]
        lines.append("")
    if found := verdicts(summary, ratio, idle):
        lines += ["### To reach", "", "| goal | measured | reached |", "|---|---|---|"]
        lines += [f"| {goal} | {got} | {'yes' if reached else '**no**'} |" for goal, got, reached in found]
        lines.append("")
    return "\n".join(lines)
