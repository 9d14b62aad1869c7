"""The network of the tutorial, and a small study that is stored in the folder."""

from pathlib import Path

import numpy as np
import optuna

from optuna_snn import SCBOSampler, SpikeActivityPruner, SpikeMonitor

CONTINUES = ("docs/tutorial.md", "def objective")


def _fast_network(trial):
    rate = trial.suggest_float("rate", 0.01, 30, log=True)
    rng = np.random.default_rng(trial.number)
    with SpikeMonitor(trial, layers=["output"], planned_samples=320) as monitor:
        for _ in range(20):
            monitor.update("output", rng.poisson(rate, size=16))
            if trial.should_prune():
                raise optuna.TrialPruned(monitor.verdict)
    return rate


optuna.create_study(
    study_name="digits_study",
    storage="sqlite:///digits_study.db",
    sampler=SCBOSampler(seed=0),
    pruner=SpikeActivityPruner(),
).optimize(_fast_network, n_trials=12)


def check_the_figures(names):
    states = {trial.state.name for trial in names["study"].trials}
    assert states == {"COMPLETE", "PRUNED"}
    assert "digits_study" in Path("overview.html").read_text()
    assert names["figure"].layout.title.text == "<b>Silent samples and stopped networks</b>"


def check_the_rasters(names):
    kept = {artifact.filename for artifact in names["kept"]}
    assert kept == {"spikes-hidden.png", "spikes-output.png", "spikes.npz"}
    assert set(names["load_rasters"]("spikes.npz")) == {"hidden", "output"}
    assert Path("raster.html").stat().st_size > 10_000


CHECKS = {"plot_overview(study)": check_the_figures, "get_all_artifact_meta": check_the_rasters}
