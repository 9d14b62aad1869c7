"""A study under other rules: what is stopped, saved, lost and not known."""

import io
import math
import sys
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from rich.console import Console

from optuna_snn import SpikeActivityPruner, SpikeMonitor, replay
from optuna_snn.cli import main
from optuna_snn.replays.figure import draw_replays
from optuna_snn.replays.table import print_replays
from optuna_snn.spikes.trace import MAX_SEGMENTS

N_BATCHES, BATCH = 25, 16
PLANNED = N_BATCHES * BATCH


def network(trial: optuna.Trial, rule: str = "record") -> float:
    """Of each batch, n_silent samples are silent; those that fire more are better."""
    n_silent = trial.suggest_int("n_silent", 0, BATCH)
    if trial.suggest_categorical("has_monitor", [True, False]):
        with SpikeMonitor(
            trial,
            rule=rule,  # type: ignore[arg-type]
            beta=0.2,
            warmup=32,
            planned_samples=PLANNED,
        ) as monitor:
            for _ in range(N_BATCHES):
                monitor.update("output", [0] * n_silent + [9] * (BATCH - n_silent))
                if trial.should_prune():
                    raise optuna.TrialPruned(monitor.verdict)
    if trial.suggest_categorical("fails", [False, True]):
        raise RuntimeError("out of memory")
    return 1.0 - n_silent / BATCH


def a_study(
    n_silent: list[int],
    rule: str = "record",
    direction: str = "maximize",
    storage: str | None = None,
    **params: bool,
) -> optuna.Study:
    study = optuna.create_study(
        study_name="networks",
        direction=direction,
        pruner=SpikeActivityPruner(),
        storage=storage,
        load_if_exists=True,
    )
    for n in n_silent:
        study.enqueue_trial({"n_silent": n, "has_monitor": True, "fails": False, **params})
    study.optimize(lambda trial: network(trial, rule), n_trials=len(n_silent), catch=RuntimeError)
    return study


def test_a_recorded_study_answers_all() -> None:
    found = replay(a_study([0, 2, 8, 16]), rule="sequential")
    assert [t.verdict.is_stopped for t in found.trials] == [False, False, True, True]
    assert (found.n_stopped, found.n_kept, found.n_unknown) == (2, 2, 0)
    assert found.samples_planned == 4 * PLANNED
    spent = [t.samples_spent for t in found.trials]
    assert spent[:2] == [PLANNED, PLANNED]
    assert spent[3] == 48  # 32 of warm-up, 16 of least number
    assert found.samples_saved == 4 * PLANNED - sum(s for s in spent if s is not None)
    assert found.best_value_kept == 1.0


def test_what_a_study_did_is_what_its_own_rule_answers() -> None:
    study = a_study([0, 4, 8, 12, 16], rule="sequential")
    found = replay(study)
    states = {TrialState.PRUNED: True, TrialState.COMPLETE: False}
    assert [t.verdict.is_stopped for t in found.trials] == [states[t.state] for t in study.trials]
    assert found.n_unknown == 0 < found.n_stopped


def test_stopped_trials_are_unknown_to_a_looser_rule() -> None:
    study = a_study([0, 16, 8], rule="sequential")
    looser = replay(study, beta=0.4)
    assert [t.verdict.is_stopped for t in looser.trials] == [False, True, None]
    assert looser.samples_planned == 2 * PLANNED  # the unknown one is not accounted


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_good_networks_that_are_lost_are_counted(direction: str) -> None:
    """Twelve trials: two are good. Those that maximise fire, those that minimise are silent."""
    study = a_study([*range(4), *range(9, 17)], direction=direction)
    found = replay(study, rule="sequential", beta=0.3)
    assert found.n_good == 2
    assert found.n_good_lost == {"maximize": 0, "minimize": 2}[direction]
    best = {"maximize": 1.0, "minimize": 1.0 - 3 / BATCH}[direction]
    assert found.best_value_kept == best
    assert replay(study, rule="sequential", beta=0.3, good_share=0.25).n_good == 3


def test_trials_without_a_report_are_left_out_and_counted() -> None:
    study = a_study([0])
    a_study_without = {"n_silent": 0, "has_monitor": False, "fails": False}
    study.enqueue_trial(a_study_without)
    study.optimize(network, n_trials=1)
    study.ask()
    found = replay(study)
    assert ([t.number for t in found.trials], found.n_without_report) == ([0], 2)


def test_a_dead_trial_that_was_tried_again_is_one_network_with_its_retry() -> None:
    study = a_study([16])
    dead = study.trials[0]
    for history in ([], [dead.number]):
        copied = optuna.create_trial(
            state=TrialState.FAIL,
            user_attrs=dead.user_attrs,
            system_attrs={"retry_history": history} if history else {},
        )
        study.add_trial(copied)
    found = replay(study)
    assert ([t.number for t in found.trials], found.n_without_report) == ([1, 2], 1)


def test_a_training_that_outlasts_its_trace_says_so() -> None:
    study = optuna.create_study()
    trial = study.ask()
    with SpikeMonitor(trial, rule="record", warmup=0) as monitor:
        for _ in range(MAX_SEGMENTS + 1):
            monitor.start_epoch()
            monitor.update("output", [5] * 8)
    study.tell(trial, 0.5)
    found = replay(study, rule="sequential")
    assert (found.n_unknown, found.n_cut) == (1, 1)
    console = Console(file=io.StringIO(), width=200)
    print_replays(console, [found], "value")
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert "unknown: 1 were trained for longer than their stored traces reach" in printed
    assert "stopped too early to tell" not in printed


def test_a_failed_trial_is_censored_and_has_no_value() -> None:
    study = a_study([0, 16], fails=True)
    found = replay(study, rule="sequential")
    assert [(t.verdict.is_stopped, t.value) for t in found.trials] == [(None, None), (True, None)]
    assert (found.n_good, found.best_value_kept) == (0, None)


@pytest.mark.parametrize("good_share", [0.0, -0.1, 1.5, float("nan")])
def test_a_share_of_good_networks_that_is_none_is_refused(good_share: float) -> None:
    with pytest.raises(ValueError, match="0 < good_share <= 1, got"):
        replay(optuna.create_study(), good_share=good_share)


def test_a_value_that_is_not_finite_is_never_good() -> None:
    study = optuna.create_study()
    trial = study.ask()
    with SpikeMonitor(trial, rule="record") as monitor:
        monitor.update("output", [5] * 80)
    study.tell(trial, -math.inf)
    found = replay(study)
    assert found.best_value_kept is None
    assert found.samples_planned == 80  # no plan was told; a complete training is one to its end


def test_several_objectives_are_refused() -> None:
    study = optuna.create_study(directions=["minimize", "minimize"])
    with pytest.raises(ValueError, match="one objective, got 2"):
        replay(study)


def test_the_figure_has_a_line_for_each_alpha_and_a_band_for_what_is_unknown() -> None:
    study = a_study([0, 8, 16], rule="sequential")
    replays = [replay(study, alpha=a, beta=b) for a in (1, 9, 10) for b in (0.1, 0.3, 0.7)]
    figure = draw_replays(replays)
    saved, stopped, lost = figure.axes
    assert [line.get_label() for line in saved.get_lines()] == ["alpha 1", "alpha 9", "alpha 10"]
    assert list(stopped.get_lines()[0].get_xdata()) == [0.1, 0.3, 0.7]
    assert list(stopped.get_lines()[0].get_ydata()) == [r.n_stopped for r in replays[:3]]
    tops = [path.vertices[:, 1].max() for path in stopped.collections[0].get_paths()]
    assert max(tops) == max(r.n_stopped + r.n_unknown for r in replays[:3])
    assert list(lost.get_lines()[2].get_ydata()) == [r.n_good_lost for r in replays[6:]]


def test_the_command_asks_each_pair_and_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPTUNA_SNN_STORAGE", raising=False)
    monkeypatch.setenv("COLUMNS", "160")
    a_study([0, 8, 16], storage="sqlite:///networks.db")
    words = ["replay", "networks", "--rule", "sequential", "--alpha", "1", "--alpha", "10"]
    assert main([*words, "--beta", "0.2", "--beta", "0.7", "--figure", "picture.png"]) == 0
    printed = capsys.readouterr().out
    rows = [line.split() for line in printed.splitlines() if line.lstrip().startswith(("1", "10"))]
    assert [row[:5] for row in rows] == [
        ["1", "0.2", "2", "1", "0"],
        ["1", "0.7", "1", "2", "0"],
        ["10", "0.2", "3", "0", "0"],
        ["10", "0.7", "3", "0", "0"],
    ]
    assert "Asked: rule sequential" in printed
    assert "best 1 of 3 complete trials, 1 to 1" in printed
    assert Path("picture.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["nothing"], "there is no database nothing.db; say where the study is with --storage"),
        (["other", "--storage", "networks.db"], "has no study 'other'; its studies: 'networks'"),
        (["networks", "--rule", "loud"], "rule must be one of"),
        (["networks", "--rule", "paper"], "pass epoch_size"),
        (["networks", "--beta", "1.5"], "0 <= beta < 1"),
        (["networks", "--over-layers", "some"], "over_layers must be"),
        (["networks", "--good", "2"], "0 < good_share <= 1, got 2.0"),
        (["empty", "--storage", "empty.db"], "no finished trial of 'empty' has a spike report"),
        (["nowhere.py"], "nowhere.py does not exist"),
    ],
)
def test_an_expected_error_of_the_command_is_one_line(
    words: list[str],
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPTUNA_SNN_STORAGE", raising=False)
    a_study([16], storage="sqlite:///networks.db")
    optuna.create_study(study_name="empty", storage="sqlite:///empty.db")
    assert main(["replay", *words]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1 and complaint in error[0]
    assert not Path("nothing.db").exists()


def test_a_study_of_another_name_is_looked_for_where_a_run_of_that_name_leaves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPTUNA_SNN_STORAGE", raising=False)
    Path("mine.py").write_text("def objective(trial):\n    return 0.0\n")
    a_study([0], storage="sqlite:///networks.db")
    assert main(["replay", "mine.py", "--study-name", "networks"]) == 0
    assert "1 finished trials with a spike report" in capsys.readouterr().out


def test_without_matplotlib_the_command_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPTUNA_SNN_STORAGE", raising=False)
    monkeypatch.delitem(sys.modules, "optuna_snn.replays.figure", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib.axes", None)
    a_study([16], storage="sqlite:///networks.db")
    assert main(["replay", "networks", "--figure", "picture.png"]) == 2
    assert "pip install 'optuna-snn[figures]'" in capsys.readouterr().err
