"""The tables of `benchmarks.workers`, in Markdown.

What is not kept yet stands below its table, with the command that measures it; a table without a
row is that line alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.worker_plan import LARGEST, plans
from benchmarks.worker_results import Kept, Key, missing_words

Columns = Mapping[str, Callable[[Any], str]]
"""Head of a column -> what stands in it, in the row of one result."""

FAULTS: Columns = {
    "what happens": lambda k: f"{k.name}: {k.setting}",
    "storage": lambda k: k.storage,
    "trials wanted": lambda k: str(_audit(k)["budget"]),
    "finished": lambda k: str(_audit(k)["complete"] + _audit(k)["pruned"]),
    "failed, of these tried again": lambda k: f"{_audit(k)['failed']}, {_audit(k)['retried']}",
    "left running": lambda k: str(_audit(k)["running"]),
    "lost": lambda k: str(_audit(k)["lost"] + (not _audit(k)["numbers"])),
    "incomplete": lambda k: str(_audit(k)["flawed"]),
    "exit code": lambda k: str(k.measured["exit_code"]),
    "also": lambda k: _also(k.name, k.measured),
}
CONNECTIONS: Columns = {
    "workers": lambda k: str(k.measured["n_workers"]),
    "connections the server takes": lambda k: str(k.measured["limit"]),
    "held at the median": lambda k: f"{k.measured['at_rest']:g}",
    "most at a time": lambda k: str(k.measured["most"]),
    "trials wanted": lambda k: str(_audit(k)["budget"]),
    "finished": lambda k: str(_audit(k)["complete"]),
    "lost": lambda k: str(_audit(k)["lost"]),
}
COST: Columns = {
    "storage": lambda k: k.storage,
    "others' trials running": lambda k: f"{k.measured['n_running']:,}",
    "a trial: ms (CPU of the worker, of the server)": lambda k: _timed(k.measured["turn"]),
    "connections of it: number, ms open": lambda k: (
        f"{k.measured['n_connections']:.0f}, {k.measured['open_ms']:.1f}"
    ),
    "all trials read once: ms (CPU, server)": lambda k: _timed(k.measured["read"]),
    "a heartbeat: ms (CPU, server)": lambda k: _timed(k.measured["beat"]),
}
STORED: Columns = {
    "stored trials": lambda k: f"{k.measured['n_trials']:,}",
    "storage": lambda k: k.storage,
    "a fresh worker reads them: s (CPU, server)": lambda k: _loaded(k.measured),
    "its first ask: CPU s": lambda k: f"{k.measured['first_ask_cpu']:.2f}",
    "a warm ask: s (CPU)": lambda k: f"{k.measured['ask']:.2f} ({k.measured['ask_cpu']:.2f})",
    "a trial is created: ms": lambda k: f"{1e3 * k.measured['create']:.0f}",
}
WAITING: Columns = {
    "workers": lambda k: str(k.measured["n_workers"]),
    "trials per hour": lambda k: f"{k.measured['throughput']:,.0f}",
    "s in sampler and storage per trial": lambda k: f"{k.measured['seconds']:.2f}",
    "of a worker's time": lambda k: f"{k.measured['share']:.2f} %",
}
PLAN: Columns = {
    "workers": lambda p: f"{p.n_workers:,}",
    "a trial takes": lambda p: f"{p.trial_s / 60:g} min",
    "trials a second": lambda p: f"{p.trials_per_s:.2g}",
    "creations at most, a second": lambda p: f"{p.creations_per_s:.0f}",
    "connections open on average": lambda p: f"{p.connections:.1f}",
    "cores of the server for trials": lambda p: f"{p.cores_trials:.2f}",
    "for heartbeats": lambda p: f"{p.cores_beats:.2f}",
    "for supervisors": lambda p: f"{p.cores_supervisors:.2f}",
    "a worker's CPU for the storage, s a trial": lambda p: f"{p.turn_cpu_s:.2f}",
    "of its time": lambda p: f"{100 * p.turn_cpu_s / p.trial_s:.2g} %",
    f"all start at once on {LARGEST:,} trials: server, core seconds": lambda p: (
        f"{p.start_core_s:,.0f}"
    ),
}


def faults_table(kept: Sequence[Kept], wanted: Sequence[Key]) -> str:
    """What was killed or stopped, and what was lost."""
    return _table(FAULTS, kept, wanted, "integrity", "killed", "outage")


def connections_table(kept: Sequence[Kept], wanted: Sequence[Key]) -> str:
    """Connections that a server had to take."""
    return _table(CONNECTIONS, kept, wanted, "connections")


def cost_table(kept: Sequence[Kept], wanted: Sequence[Key]) -> str:
    """Milliseconds of the storage calls of one trial, of a read and of a heartbeat."""
    return _table(COST, kept, wanted, "cost")


def stored_table(kept: Sequence[Kept], wanted: Sequence[Key]) -> str:
    """What stored trials cost a worker."""
    return _table(STORED, kept, wanted, "stored")


def waiting_table(kept: Sequence[Kept], wanted: Sequence[Key]) -> str:
    """Simulated workers whose trials take a minute."""
    return _table(WAITING, kept, wanted, "waiting")


def plan_table(kept: Sequence[Kept], wanted: Sequence[Key]) -> str:
    """What one PostgreSQL server and each worker would have to do; see `worker_plan`."""
    if planned := plans(kept):
        return _markdown(PLAN, planned)
    return missing_words(kept, wanted, "cost", "stored")


def _audit(kept: Kept) -> Mapping[str, Any]:
    audit: Mapping[str, Any] = kept.measured["audit"]
    return audit


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


def _timed(m: Mapping[str, Any]) -> str:
    server = "" if m["server_ms"] is None else f", {m['server_ms']:.1f}"
    return f"{m['wall_ms']:.1f} ({m['cpu_ms']:.1f}{server})"


def _loaded(m: Mapping[str, Any]) -> str:
    server = "" if m["load_server"] is None else f", {m['load_server']:.2f}"
    return f"{m['load']:.2f} ({m['load_cpu']:.2f}{server})"


def _table(columns: Columns, kept: Sequence[Kept], wanted: Sequence[Key], *names: str) -> str:
    """The results of the scenarios of these names, and below them what is missing."""
    found = [k for k in kept if k.name in names]
    missing = missing_words(kept, wanted, *names)
    if not found:
        return missing
    text = _markdown(columns, found)
    return f"{text}\n\n{missing}" if missing else text


def _markdown(columns: Columns, results: Sequence[Any]) -> str:
    cells = [list(columns), *([cell(r) for cell in columns.values()] for r in results)]
    head, *body = (f"| {' | '.join(row)} |" for row in cells)
    return "\n".join([head, "|" + "---|" * len(columns), *body])


TABLES: Mapping[str, Callable[[Sequence[Kept], Sequence[Key]], str]] = {
    "workers faults": faults_table,
    "workers connections": connections_table,
    "workers cost": cost_table,
    "workers stored": stored_table,
    "workers waiting": waiting_table,
    "workers plan": plan_table,
}
