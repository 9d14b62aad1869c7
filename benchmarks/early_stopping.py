"""Samples that a network is given before a rule stops it, by its share of silent samples.

    python -m benchmarks.early_stopping

simulates one epoch of networks whose samples are silent independently, keeps the result in
`benchmarks/results/early_stopping.json`, prints a table (median and quartiles of the samples, and
the networks that were stopped) and draws a figure beside it. ``--table`` only shows what is there.

The rules, all looked at by networks that train in batches of BATCH:
    sequential     ours with the defaults of `SpikeMonitor`: a warm-up of 32 batches, at most
                   half of the epoch, which count as spent; then looks after every batch
    paper          the paper's: more than beta * epoch_size silent samples. Its authors looked
                   when more images than their interval had passed since the last look, and not at
                   the end of an epoch; no warm-up
    paper, always  the same, looked at after every sample
The intervals are those of the authors' experiments 1 and 3 as released (1200), 1 as run (1000),
4 (40) and 2 as released (10). They had batches of one image for intervals of 1000 and 10.

Glossary
    n, k      samples in the judged window, and how many of them were silent
    looks     samples seen at each look, increasing, (n_looks,)
    fewest    silent samples that suffice for a stop, at each look, (n_looks,)
    so_far    silent samples among the first 0, 1, ... of the epoch, (n_networks, epoch_size + 1)
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.runs import RESULTS
from optuna_snn.spikes.rules import SilenceRule, declining_share, log_e_value
from optuna_snn.spikes.warmup import default_warmup

Integers = NDArray[np.integer[Any]]

BATCH = 16
MIN_SAMPLES, DELTA = 16, 1e-3
"""Defaults of `SpikeMonitor`."""
N_NETWORKS = 200
SEED = 0
SHARES = [round(0.005 * i, 3) for i in range(40)] + [round(0.01 * i, 2) for i in range(20, 101)]
COLOURS = {"sequential": "#0072B2", "paper": "#D55E00", "paper, always": "#E69F00"}


@dataclass(frozen=True)
class Setting:
    """What is trained on, and the limit."""

    epoch_size: int
    beta: float
    interval: int
    """Samples between two looks of the paper's rule, by its authors' options."""


SETTINGS = (
    Setting(60_000, 0.05, 1200),
    Setting(60_000, 0.1, 1000),
    Setting(1000, 0.1, 40),
    Setting(1000, 0.3, 10),
)


@dataclass(frozen=True)
class Watch:
    """What a rule asks for, and when; all looks come after the warm-up."""

    warmup: int
    looks: Integers
    fewest: Integers


@dataclass(frozen=True)
class Curve:
    """What one rule made of the networks of each share, in samples spent: median, quartiles."""

    setting: Setting
    rule: str
    n_networks: int
    shares: list[float]
    low: list[int]
    median: list[int]
    high: list[int]
    stopped: list[float]
    """Part of the networks."""


def watches(setting: Setting) -> Mapping[str, Watch]:
    """The rules that are compared, by name."""
    n = setting.epoch_size
    ours = SilenceRule("sequential", setting.beta, DELTA, MIN_SAMPLES)
    paper = SilenceRule("paper", setting.beta, DELTA, MIN_SAMPLES, epoch_size=n)
    return {
        "sequential": watch(ours, default_warmup(BATCH, n), batch_ends(n, BATCH)),
        "paper": watch(paper, 0, paper_looks(n, BATCH, setting.interval)),
        "paper, always": watch(paper, 0, batch_ends(n, 1)),
    }


def watch(rule: SilenceRule, warmup: int, looks: Integers) -> Watch:
    """The rule asked at these looks, as far as they lie after the warm-up."""
    later = looks[looks > warmup]
    return Watch(warmup, later, fewest_silent(rule, later - warmup))


def batch_ends(epoch_size: int, batch: int) -> Integers:
    """Samples seen after each batch, of which the last may be smaller."""
    return np.minimum(np.arange(batch, epoch_size + batch, batch), epoch_size)


def paper_looks(epoch_size: int, batch: int, interval: int) -> Integers:
    """Samples seen at the looks of the paper's authors.

    They look after the first batch with which more than `interval` samples have come since the
    last look.
    """
    step = batch * (interval // batch + 1)
    return np.arange(step, epoch_size + 1, step)


def is_silent(rule: SilenceRule, n: Integers, k: Integers) -> NDArray[np.bool_]:
    """Say what `SilenceRule.is_silent` says in the first epoch, for arrays; n > 0."""
    is_above = k / n - rule.beta > 0
    if rule.name == "paper":
        assert rule.epoch_size is not None  # held by SilenceRule
        return is_above & (k / rule.epoch_size - rule.beta > 0)
    if rule.name != "sequential":
        raise ValueError(f"Need rule 'sequential' or 'paper', got {rule.name!r}.")
    bound = -math.log(rule.delta * rule.delta_share * declining_share(1))
    return is_above & (n >= rule.min_samples) & (log_e_value(n, k, rule.beta) >= bound)


def fewest_silent(rule: SilenceRule, n: Integers) -> Integers:
    """The fewest silent samples among n > 0 that stop; n + 1 where none do."""
    no, yes = np.zeros_like(n), n + 1
    while np.any(yes - no > 1):
        middle = (no + yes) // 2
        says_yes = is_silent(rule, n, np.minimum(middle, n)) & (middle <= n)
        no, yes = np.where(says_yes, no, middle), np.where(says_yes, middle, yes)
    return yes


def spent(asked: Watch, so_far: Integers) -> tuple[Integers, NDArray[np.bool_]]:
    """Samples until each network is stopped, or all; and whether it was; (n_networks,) each."""
    says_yes = so_far[:, asked.looks] - so_far[:, [asked.warmup]] >= asked.fewest
    is_stopped = np.asarray(says_yes.any(axis=1))
    at_stop = asked.looks[says_yes.argmax(axis=1)]
    return np.where(is_stopped, at_stop, so_far.shape[1] - 1), is_stopped


def simulate(rng: np.random.Generator, share: float, epoch_size: int, n_networks: int) -> Integers:
    """`so_far` of networks whose samples are silent independently, with probability `share`."""
    so_far = np.zeros((n_networks, epoch_size + 1), dtype=np.int32)
    is_silent_sample = rng.random((n_networks, epoch_size), dtype=np.float32) < share
    np.cumsum(is_silent_sample, axis=1, out=so_far[:, 1:])
    return so_far


def curves(
    settings: Sequence[Setting], n_networks: int, shares: Sequence[float] = SHARES
) -> list[Curve]:
    """A curve for each setting and rule; settings with equal epochs judge the same networks."""
    found: dict[tuple[Setting, str], list[tuple[int, int, int, float]]] = {}
    for epoch_size in sorted({setting.epoch_size for setting in settings}, reverse=True):
        rng = np.random.default_rng(SEED)
        asked = {
            (setting, name): own
            for setting in settings
            if setting.epoch_size == epoch_size
            for name, own in watches(setting).items()
        }
        for share in shares:
            so_far = simulate(rng, share, epoch_size, n_networks)
            for key, own in asked.items():
                samples, is_stopped = spent(own, so_far)
                low, median, high = np.quantile(samples, (0.25, 0.5, 0.75)).round().astype(int)
                row = (int(low), int(median), int(high), float(is_stopped.mean()))
                found.setdefault(key, []).append(row)
    made = []
    for (setting, name), rows in found.items():
        lows, medians, highs, stopped = (list(column) for column in zip(*rows, strict=True))
        made.append(Curve(setting, name, n_networks, list(shares), lows, medians, highs, stopped))
    return made


def write(path: Path, made: Sequence[Curve]) -> None:
    """Keep the curves, one a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(asdict(curve)) for curve in made)
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n")


def read(path: Path) -> list[Curve]:
    """The curves that `write` kept."""
    stored = json.loads(path.read_text())
    return [Curve(**{**curve, "setting": Setting(**curve["setting"])}) for curve in stored]


def table(made: Sequence[Curve]) -> str:
    """Markdown: a row for each setting and some shares; median (quartiles), networks stopped."""
    rows = [
        "| epoch | beta | silent share | " + " | ".join(COLOURS) + " |",
        "|" + "---|" * (3 + len(COLOURS)),
    ]
    for setting, own in by_setting(made).items():
        beta = setting.beta
        for share in sorted({0.0, beta / 2, beta, 1.2 * beta, 1.5 * beta, 2 * beta, 0.5, 1.0}):
            cells = [_cell(own[name], share) for name in COLOURS]
            start = f"| {setting.epoch_size:,} | {beta:g} | {share:g} | "
            rows.append(start + " | ".join(cells) + " |")
    return "\n".join(rows)


def by_setting(made: Sequence[Curve]) -> Mapping[Setting, Mapping[str, Curve]]:
    """The curves by setting and rule."""
    found: dict[Setting, dict[str, Curve]] = {}
    for curve in made:
        found.setdefault(curve.setting, {})[curve.rule] = curve
    return found


def _cell(curve: Curve, share: float) -> str:
    at = int(np.abs(np.array(curve.shares) - share).argmin())
    low, median, high = curve.low[at], curve.median[at], curve.high[at]
    spread = f" ({low:,} to {high:,})" if low < high else ""
    return f"{median:,}{spread}, {100 * curve.stopped[at]:.0f} %"


def draw(made: Sequence[Curve], path: Path) -> None:
    """Samples spent over silent shares, a panel for each setting."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    found = by_setting(made)
    n_rows = math.ceil(len(found) / 2)
    figure, axes = plt.subplots(n_rows, 2, figsize=(9.6, 3.4 * n_rows), squeeze=False)
    for ax in axes.flat[len(found) :]:
        ax.set_visible(False)
    for ax, (setting, own) in zip(axes.flat, found.items(), strict=False):
        for name, colour in COLOURS.items():
            curve = own[name]
            label = f"paper, every {setting.interval}" if name == "paper" else name
            style = ":" if name == "paper, always" else "-"
            ax.plot(curve.shares, curve.median, style, color=colour, label=label, linewidth=1.4)
            ax.fill_between(
                curve.shares, curve.low, curve.high, color=colour, alpha=0.2, linewidth=0
            )
        ax.axvline(setting.beta, color="#999999", linestyle="--", linewidth=1)
        ax.set_yscale("log")
        ax.set_title(f"{setting.epoch_size:,} samples, beta = {setting.beta:g}", fontsize=10)
        ax.grid(alpha=0.25)
        ax.legend(frameon=False, fontsize=8)
    figure.supxlabel("silent share of the network")
    figure.supylabel("samples spent: median, quartiles")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    """Words to calls."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--networks", type=int, default=N_NETWORKS, help=f"of each share (default: {N_NETWORKS})"
    )
    parser.add_argument("--results", type=Path, default=RESULTS / "early_stopping.json")
    parser.add_argument("--table", action="store_true", help="only show what is there")
    arguments = parser.parse_args()
    if arguments.networks < 1:
        parser.error("--networks must be at least 1")
    if not arguments.table:
        write(arguments.results, curves(SETTINGS, arguments.networks))
    made = read(arguments.results)
    print(table(made))
    path = arguments.results.with_suffix(".png")
    draw(made, path)
    print(f"figure: {path}")


if __name__ == "__main__":
    main()
