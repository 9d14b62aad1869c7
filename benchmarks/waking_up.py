"""Networks that wake up while they learn: what a warm-up saves of them, and what it costs.

    python -m benchmarks.waking_up

trains the networks of `benchmarks.waking_networks` to the end, without a rule that would stop one,
and keeps which samples were silent, one network a line, in `benchmarks/results/waking_up.jsonl`.
An interrupted run goes on where it was. Then it asks, of each network, what the sequential rule
would have done with other warm-ups and other minima of samples, looked at after every batch;
prints tables and draws a figure beside the results. ``--table`` only shows what is there.

    alive     a network whose share of silent samples, in the last quarter of its training, is at
              most beta in every layer; all others are silent
    waking    an alive one with a larger share among the first 32 samples of a layer
    lost      an alive one that the rule stops
    spent     samples that a silent network is trained on until it is stopped, or to the end

A sample is silent for a layer that fires no spike in it (alpha = 1).
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.early_stopping import DELTA, MIN_SAMPLES, Watch, batch_ends, spent, watch
from benchmarks.runs import RESULTS
from benchmarks.waking_courses import Group, groups, read, train_missing
from benchmarks.waking_networks import KINDS
from optuna_snn.spikes.rules import SilenceRule

BETAS = (0.05, 0.1, 0.3)
MINIMA = (3, 8, 16, 32)
WARMUPS = (0, 8, 16, 32, 64, 128, 256, 512, 1024)
"""Asked as far as they leave at least a third of the training to be judged."""
FEW = 0.05
"""Part of the alive networks that may be lost where none is too strict."""
NEEDED_STEP = 16
N_BEST = 10
N_STRIPES = 60


@dataclass(frozen=True)
class Options:
    """What the sequential rule is given."""

    beta: float
    min_samples: int
    warmup: int


@dataclass(frozen=True)
class Outcome:
    """What the rule makes of the networks of a kind."""

    n_alive: int
    n_waking: int
    n_lost: int
    n_silent: int
    n_stopped: int
    """Of the silent ones."""
    median_spent: float
    """Samples, of the silent ones; NaN where there is none."""


def warmups(group: Group) -> list[int]:
    """Those of `WARMUPS` that are asked of the networks."""
    return [warmup for warmup in WARMUPS if warmup <= group.n_samples * 2 // 3]


def outcome(group: Group, options: Options) -> Outcome:
    """Ask the rule about each network."""
    is_stopped, samples = judged(group, options)
    is_alive = group.is_alive(options.beta)
    silent = samples[~is_alive]
    return Outcome(
        n_alive=int(is_alive.sum()),
        n_waking=int(group.is_waking(options.beta).sum()),
        n_lost=int((is_alive & is_stopped).sum()),
        n_silent=int((~is_alive).sum()),
        n_stopped=int((~is_alive & is_stopped).sum()),
        median_spent=float(np.median(silent)) if silent.size else float("nan"),
    )


def judged(group: Group, options: Options) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Whether each network is stopped, and the samples spent until then or to the end.

    As with the monitor, the layers share delta equally, and the first that is silent decides.
    """
    n_networks, n_layers, n_samples = group.is_silent.shape
    asked = _watch(options, n_layers, n_samples, group.batch)
    is_stopped = np.zeros(n_networks, dtype=np.bool_)
    samples = np.full(n_networks, n_samples)
    for layer in range(n_layers):
        so_far = np.zeros((n_networks, n_samples + 1), dtype=np.int64)
        np.cumsum(group.is_silent[:, layer], axis=1, out=so_far[:, 1:])
        own_samples, own = spent(asked, so_far)
        is_stopped |= own
        samples = np.minimum(samples, own_samples)
    return is_stopped, samples


@cache
def _watch(options: Options, n_layers: int, n_samples: int, batch: int) -> Watch:
    rule = SilenceRule(
        "sequential", options.beta, DELTA, options.min_samples, delta_share=1 / n_layers
    )
    return watch(rule, options.warmup, batch_ends(n_samples, batch))


def smallest_warmup(
    group: Group, beta: float, min_samples: int, part: float
) -> tuple[int, Outcome] | None:
    """The least of the warm-ups that loses at most this part of the alive; None if none does."""
    for warmup in warmups(group):
        found = outcome(group, Options(beta, min_samples, warmup))
        if found.n_lost <= part * found.n_alive:
            return warmup, found
    return None


def needed(group: Group, beta: float, min_samples: int) -> NDArray[np.float64]:
    """(n_waking,): the smallest warm-up that keeps each waking network, as all longer ones do.

    To within NEEDED_STEP samples; infinite where none of two thirds of the training does.
    """
    is_waking = group.is_waking(beta)
    least = np.full(len(is_waking), np.inf)
    is_kept = is_waking
    for warmup in range(group.n_samples * 2 // 3 // NEEDED_STEP * NEEDED_STEP, -1, -NEEDED_STEP):
        is_kept = is_kept & ~judged(group, Options(beta, min_samples, warmup))[0]
        least[is_kept] = warmup
    return least[is_waking]


def table(found: Sequence[Group], beta: float) -> str:
    """Markdown: what each warm-up and each minimum does with the networks of each kind."""
    lines = [
        f"| beta = {beta:g} | warm-up | " + " | ".join(f"minimum {m}" for m in MINIMA) + " |",
        "|" + "---|" * (2 + len(MINIMA)),
    ]
    for group in found:
        for warmup in warmups(group):
            made = [outcome(group, Options(beta, m, warmup)) for m in MINIMA]
            cells = " | ".join(f"{o.n_lost}; {o.n_stopped}; {o.median_spent:.0f}" for o in made)
            first = made[0]
            about = (
                f"{group.label}: {first.n_alive} alive, {first.n_waking} of them waking, "
                f"{first.n_silent} silent"
            )
            lines.append(f"| {about if warmup == 0 else ''} | {warmup} | {cells} |")
    lines += [
        "",
        "Cells: alive networks lost; silent ones stopped; median samples spent on these.",
    ]
    return "\n".join(lines)


def summary(found: Sequence[Group]) -> str:
    """Markdown: the smallest warm-up that loses nobody, and few, with the samples spent."""
    lines = [
        "| networks | beta | " + " | ".join(f"minimum {m}" for m in MINIMA) + " |",
        "|" + "---|" * (2 + len(MINIMA)),
    ]
    for group, beta in itertools.product(found, BETAS):
        cells = [", ".join(_smallest(group, beta, m, part) for part in (0.0, FEW)) for m in MINIMA]
        lines.append(f"| {group.label} | {beta:g} | " + " | ".join(cells) + " |")
    lines += [
        "",
        f"Cells: the smallest warm-up that loses no alive network, then at most {FEW:.0%} of "
        "them; in brackets the median of samples spent on silent ones.",
    ]
    return "\n".join(lines)


def _smallest(group: Group, beta: float, min_samples: int, part: float) -> str:
    smallest = smallest_warmup(group, beta, min_samples, part)
    if smallest is None:
        return f"> {warmups(group)[-1]}"
    return f"{smallest[0]} ({smallest[1].median_spent:.0f})"


def needs(found: Sequence[Group]) -> str:
    """Markdown: the warm-up that a part of the waking networks needs, with the default minimum."""
    lines = [
        "| networks | beta | alive | waking | half | three of four | nine of ten | all |",
        "|" + "---|" * 8,
    ]
    for group, beta in itertools.product(found, BETAS):
        least = np.sort(needed(group, beta, MIN_SAMPLES))
        cells = [_needed_by(least, part) for part in (0.5, 0.75, 0.9, 1.0)]
        counts = f"{group.is_alive(beta).sum()} | {len(least)}"
        lines.append(f"| {group.label} | {beta:g} | {counts} | " + " | ".join(cells) + " |")
    lines += ["", f"Cells: the warm-up that keeps this part of them (minimum {MIN_SAMPLES})."]
    return "\n".join(lines)


def _needed_by(least: NDArray[np.float64], part: float) -> str:
    """Least: sorted."""
    if not least.size:
        return "-"
    value = least[math.ceil(part * least.size) - 1]
    return f"{value:.0f}" if math.isfinite(value) else "none"


def losses(found: Sequence[Group]) -> str:
    """Markdown: how many alive networks each warm-up loses, and of which kinds the best ones."""
    lines = [
        "| networks | beta | " + " | ".join(f"{warmup}" for warmup in WARMUPS) + " |",
        "|" + "---|" * (2 + len(WARMUPS)),
    ]
    for group, beta in itertools.product(found, BETAS):
        is_alive = group.is_alive(beta)
        about = f"{group.label}: {is_alive.sum()} alive"
        lines.append(f"| {about} | {beta:g} | {_lost(group, beta, is_alive)} |")
    for group, beta in itertools.product(found, BETAS):
        is_best = best(group, beta)
        if is_best.any():
            about = f"{group.label}: the best {is_best.sum()}"
            accuracy = f"accuracy {group.accuracy[is_best].min():.2f} and more"
            lines.append(f"| {about}, {accuracy} | {beta:g} | {_lost(group, beta, is_best)} |")
    lines += ["", f"Cells: how many of them are lost after this warm-up (minimum {MIN_SAMPLES})."]
    return "\n".join(lines)


def best(group: Group, beta: float) -> NDArray[np.bool_]:
    """(n_networks,): the N_BEST most accurate alive ones; none where accuracy is not known."""
    accuracy = np.where(group.is_alive(beta), np.nan_to_num(group.accuracy, nan=-1), -1)
    is_best = np.zeros(len(accuracy), dtype=np.bool_)
    is_best[np.argsort(-accuracy, kind="stable")[:N_BEST]] = True
    return is_best & (accuracy >= 0)


def _lost(group: Group, beta: float, is_chosen: NDArray[np.bool_]) -> str:
    return " | ".join(
        str(judged(group, Options(beta, MIN_SAMPLES, warmup))[0][is_chosen].sum())
        if warmup in warmups(group)
        else ""
        for warmup in WARMUPS
    )


def draw(found: Sequence[Group], path: Path) -> None:
    """Above, the silence of each network over its samples; below, what warm-ups lose and cost."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        2, len(found), figsize=(3.1 * len(found), 6.4), squeeze=False, constrained_layout=True
    )
    for (above, below), group in zip(axes.T, found, strict=True):
        image = striped(group)
        extent = (0, group.n_samples, len(image), 0)
        above.imshow(image, aspect="auto", cmap="Greys", vmin=0, vmax=1, extent=extent)
        above.set_title(group.label, fontsize=10)
        above.set_xlabel("samples")
        for beta, colour in zip(BETAS, ("#56B4E9", "#0072B2", "#D55E00"), strict=True):
            made = [
                outcome(group, Options(beta, MIN_SAMPLES, warmup)) for warmup in warmups(group)
            ]
            lost = [o.n_lost / max(1, o.n_alive) for o in made]
            label = f"beta = {beta:g} ({made[0].n_alive} alive)"
            below.plot(warmups(group), lost, "o-", color=colour, label=label, markersize=3)
        below.set_xscale("symlog", base=2, linthresh=8)
        below.set_xticks(warmups(group), [str(w) for w in warmups(group)], fontsize=7, rotation=60)
        below.minorticks_off()
        below.set_ylim(-0.03, 1.03)
        below.set_xlabel("warm-up, samples")
        below.grid(alpha=0.25)
        below.legend(frameon=False, fontsize=7)
    axes[0, 0].set_ylabel("networks (black: silent)")
    axes[1, 0].set_ylabel(f"part of the alive that is lost\n(minimum {MIN_SAMPLES})")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def striped(group: Group) -> NDArray[np.float64]:
    """(n_networks, N_STRIPES): the worst layer's silent share over time, silent networks last."""
    parts = np.array_split(group.is_silent, N_STRIPES, axis=2)
    shares = np.stack([part.mean(axis=2).max(axis=1) for part in parts], axis=1)
    return np.asarray(shares[np.argsort(shares.mean(axis=1), kind="stable")])


def main() -> None:
    """Words to calls."""
    import torch

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=RESULTS / "waking_up.jsonl")
    parser.add_argument("--table", action="store_true", help="only show what is there")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if not arguments.table:
        train_missing(arguments.results, KINDS)
    found = groups(read(arguments.results))
    if not found:
        parser.error(f"there are no results in {arguments.results}")
    tables = [losses(found), needs(found), summary(found), *(table(found, b) for b in BETAS)]
    print(*tables, sep="\n\n")
    path = arguments.results.with_suffix(".png")
    draw(found, path)
    print(f"\nfigure: {path}")


if __name__ == "__main__":
    main()
