"""Which alpha and beta? What each pair would have stopped, saved and lost of random networks.

    optuna-snn run studies/choosing_alpha_beta.py --n-trials 1000 --workers 2
    python -m benchmarks.choosing_alpha_beta choosing_alpha_beta.db

asks the finished study, keeps the answers in `benchmarks/results/choosing_alpha_beta.json`, prints
a table and draws `docs/choosing_alpha_beta.png`. Good networks are the best GOOD_SHARE of all.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.runs import RESULTS, ROOT
from optuna_snn.replays.figure import save_replay_figure
from optuna_snn.replays.study import Replay, replay
from optuna_snn.workers.stored_study import load_stored_study

KEPT = RESULTS / "choosing_alpha_beta.json"
FIGURE = ROOT / "docs" / "choosing_alpha_beta.png"
GOOD_SHARE = 0.02
ALPHAS = (1, 3, 10, 20)
BETAS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.6)


def answers(study: Any) -> list[Replay]:
    """The sequential rule with each pair, by alpha, then beta."""
    return [
        replay(study, rule="sequential", alpha=a, beta=b, good_share=GOOD_SHARE)
        for a in ALPHAS
        for b in BETAS
    ]


def kept(replays: Sequence[Replay]) -> dict[str, Any]:
    """What is written down of them."""
    ranked = replays[0].ranked()
    best = ranked[: replays[0].n_good]
    return {
        "n_networks": len(replays[0].trials),
        "n_good": replays[0].n_good,
        "good": [best[0].value, best[-1].value],
        "rows": [
            {
                "alpha": r.settings.alpha,
                "beta": r.settings.beta,
                "stopped": r.n_stopped,
                "good_lost": r.n_good_lost,
                "good_unknown": r.n_good_unknown,
                "saved": r.samples_saved / r.samples_planned,
                "best_kept": r.best_value_kept,
            }
            for r in replays
        ],
    }


def table(record: Mapping[str, Any]) -> str:
    """Markdown: one row for each pair."""
    rows = [
        "| alpha | beta | stopped | good ones lost | samples saved | best accuracy kept |",
        "|---|---|---|---|---|---|",
    ]
    n = record["n_good"]
    for r in record["rows"]:
        most = f" to {r['good_lost'] + r['good_unknown']}" if r["good_unknown"] else ""
        best = "none" if r["best_kept"] is None else f"{r['best_kept']:.3f}"
        rows.append(
            f"| {r['alpha']} | {r['beta']:g} | {r['stopped']} of {record['n_networks']} "
            f"| {r['good_lost']}{most} of {n} | {100 * r['saved']:.1f} % | {best} |"
        )
    return "\n".join(rows)


def main() -> None:
    """Words to calls."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("storage", help="database of the finished study")
    arguments = parser.parse_args()
    study = load_stored_study("choosing_alpha_beta", storage=arguments.storage)
    replays = answers(study)
    KEPT.write_text(json.dumps(kept(replays), indent=1) + "\n")
    save_replay_figure(replays, FIGURE)
    print(table(kept(replays)))


if __name__ == "__main__":
    main()
