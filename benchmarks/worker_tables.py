"""The tables of `benchmarks.workers`, in Markdown.

What is not kept yet stands below its table, with the command that measures it; a table without a
row is that line alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.worker_plan import LARGEST, plans
from benchmarks.worker_results import Kept, Key, missing_words

Rows = list[tuple[str, ...]]


def faults_table(kept: Sequence[Kept], wanted: Sequence[Key]) -> str:
    """What was killed or stopped, and what was lost."""
    heads = (
        "what happens",
        "storage",
        "trials wanted",
        "finished",
        "failed, of these tried again",
        "left running",
        "lost",
        "incomplete",
        "exit code",
        "also",
    )
    names = ("integrity", "killed", "outage")
    rows = [_fault_row(k) for k in kept if k.name in names]
    return _table(heads, rows, missing_words(kept, wanted, *names))


def _fault_row(kept: Kept) -> tuple[str, ...]:
    m, a = kept.measured, kept.measured["audit"]
    return (
        f"{kept.name}: {kept.setting}",
        kept.storage,
        str(a["budget"]),
        str(a["complete"] + a["pruned"]),
        f"{a['failed']}, {a['retried']}",
        str(a["running"]),
        str(a["lost"] + (not a["numbers"])),
        str(a["flawed"]),
        str(m["exit_code"]),
        _also(kept.name, m),
    )


def _also(name: str, m: Mapping[str, Any]) -> str:
    match name:
        case "integrity":
            return f"{m['trials_per_second']:.1f} trials a second"
        case "killed":
            return (
                f"{m['n_kills']} kills; {m['n_agreeing']} of {m['n_survivors']} survivors see the "
                "search as a fresh process does"
            )
        case "outage":
            return f"{m['n_outages']} outages, {m['n_crashes']} workers crashed"
        case _:
            raise ValueError(f"no scenario with an audit is called {name!r}")


def connections_table(kept: Sequence[Kept], wanted: Sequence[Key]) -> str:
    """Connections that a server had to take."""
    heads = (
        "workers",
        "connections the server takes",
        "held at the median",
        "most at a time",
        "trials wanted",
        "finished",
        "lost",
    )
    rows = [
        (
            str(k.measured["n_workers"]),
            str(k.measured["limit"]),
            f"{k.measured['at_rest']:g}",
            str(k.measured["most"]),
            str(k.measured["audit"]["budget"]),
            str(k.measured["audit"]["complete"]),
            str(k.measured["audit"]["lost"]),
        )
        for k in kept
        if k.name == "connections"
    ]
    return _table(heads, rows, missing_words(kept, wanted, "connections"))


def cost_table(kept: Sequence[Kept], wanted: Sequence[Key]) -> str:
    """Milliseconds of the storage calls of one trial, of a read and of a heartbeat."""
    heads = (
        "storage",
        "others' trials running",
        "a trial: ms (CPU of the worker, of the server)",
        "connections of it: number, ms open",
        "all trials read once: ms (CPU, server)",
        "a heartbeat: ms (CPU, server)",
    )
    rows = []
    for k in kept:
        if k.name == "cost":
            m = k.measured
            turn, read, beat = (_timed(m[what]) for what in ("turn", "read", "beat"))
            n_running = f"{m['n_running']:,}"
            opened = f"{m['n_connections']:.0f}, {m['open_ms']:.1f}"
            rows.append((k.storage, n_running, turn, opened, read, beat))
    return _table(heads, rows, missing_words(kept, wanted, "cost"))


def _timed(m: Mapping[str, Any]) -> str:
    server = "" if m["server_ms"] is None else f", {m['server_ms']:.1f}"
    return f"{m['wall_ms']:.1f} ({m['cpu_ms']:.1f}{server})"


def stored_table(kept: Sequence[Kept], wanted: Sequence[Key]) -> str:
    """What stored trials cost a worker."""
    heads = (
        "stored trials",
        "storage",
        "a fresh worker reads them: s (CPU, server)",
        "its first ask: CPU s",
        "a warm ask: s (CPU)",
        "a trial is created: ms",
    )
    rows = []
    for k in kept:
        if k.name == "stored":
            m = k.measured
            server = "" if m["load_server"] is None else f", {m['load_server']:.2f}"
            rows.append(
                (
                    f"{m['n_trials']:,}",
                    k.storage,
                    f"{m['load']:.2f} ({m['load_cpu']:.2f}{server})",
                    f"{m['first_ask_cpu']:.2f}",
                    f"{m['ask']:.2f} ({m['ask_cpu']:.2f})",
                    f"{1e3 * m['create']:.0f}",
                )
            )
    return _table(heads, rows, missing_words(kept, wanted, "stored"))


def waiting_table(kept: Sequence[Kept], wanted: Sequence[Key]) -> str:
    """Simulated workers whose trials take a minute."""
    heads = (
        "workers",
        "trials per hour",
        "s in sampler and storage per trial",
        "of a worker's time",
    )
    rows = [
        (
            str(k.measured["n_workers"]),
            f"{k.measured['throughput']:,.0f}",
            f"{k.measured['seconds']:.2f}",
            f"{k.measured['share']:.2f} %",
        )
        for k in kept
        if k.name == "waiting"
    ]
    return _table(heads, rows, missing_words(kept, wanted, "waiting"))


def plan_table(kept: Sequence[Kept], wanted: Sequence[Key]) -> str:
    """What one PostgreSQL server and each worker would have to do; see `worker_plan`."""
    heads = (
        "workers",
        "a trial takes",
        "trials a second",
        "creations at most, a second",
        "connections open on average",
        "cores of the server for trials",
        "for heartbeats",
        "for supervisors",
        "a worker's CPU for the storage, s a trial",
        "of its time",
        f"all start at once on {LARGEST:,} trials: server, core seconds",
    )
    rows = [
        (
            f"{p.n_workers:,}",
            f"{p.trial_s / 60:g} min",
            f"{p.trials_per_s:.2g}",
            f"{p.creations_per_s:.0f}",
            f"{p.connections:.1f}",
            f"{p.cores_trials:.2f}",
            f"{p.cores_beats:.2f}",
            f"{p.cores_supervisors:.2f}",
            f"{p.turn_cpu_s:.2f}",
            f"{100 * p.turn_cpu_s / p.trial_s:.2g} %",
            f"{p.start_core_s:,.0f}",
        )
        for p in plans(kept)
    ]
    return _table(heads, rows, "" if rows else missing_words(kept, wanted, "cost", "stored"))


def _table(heads: Sequence[str], rows: Rows, missing: str) -> str:
    if not rows:
        return missing
    head, *body = (f"| {' | '.join(cells)} |" for cells in (heads, *rows))
    text = "\n".join([head, "|" + "---|" * len(heads), *body])
    return f"{text}\n\n{missing}" if missing else text


TABLES: Mapping[str, Callable[[Sequence[Kept], Sequence[Key]], str]] = {
    "workers faults": faults_table,
    "workers connections": connections_table,
    "workers cost": cost_table,
    "workers stored": stored_table,
    "workers waiting": waiting_table,
    "workers plan": plan_table,
}
