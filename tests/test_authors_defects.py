"""What went wrong in the software of the paper, and the tests that would find it here.

Firmin, Boulet & Talbi (2024) published code and results (github.com/ThomasFirmin/hpo_snn); reading
and replaying them showed the defects below. Each is named with what it did there, and with tests
of ours that fail if it happens here. Tests that stand nowhere else are in this file.
"""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import FixedTrial, TrialState

from optuna_snn import SpikeActivityPruner, SpikeMonitor
from optuna_snn.history.parameters import to_params, to_points, to_space

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "optuna_snn"
HERE = Path(__file__).name

DEFECTS: dict[str, list[str]] = {
    "one kernel for objective and constraints, its lengthscales stuck at their bounds": [
        "scbo/test_surrogate.py::test_each_output_learns_its_own_lengthscales",
        "scbo/test_surrogate.py::test_the_log_likelihood_is_that_of_gpytorch_on_the_observed_rows",
    ],
    "the centre was the best value, feasible or not": [
        "scbo/test_incumbent.py::test_feasible_beats_infeasible_whatever_the_values",
        "scbo/test_fold.py::"
        "test_a_feasible_result_takes_the_centre_from_an_infeasible_one_and_counts_as_success",
    ],
    "slack of one constraint made up for the violation of another": [
        "scbo/test_incumbent.py::"
        "test_slack_in_one_constraint_never_offsets_the_violation_of_another",
        "scbo/test_fold.py::test_violations_of_several_constraints_add_up_without_slack",
    ],
    "a result counted as infeasible only if it violated all constraints": [
        "scbo/test_incumbent.py::"
        "test_a_result_violates_something_exactly_if_one_constraint_is_positive",
    ],
    "a restart multiplied the best violation by infinity, which gave NaN": [
        "scbo/test_fold.py::test_a_restart_begins_without_an_incumbent",
        "scbo/test_incumbent.py::test_anything_improves_on_minus_infinity_and_nothing_on_infinity",
    ],
    "a restart went back to the old optimum, after hundreds of random and silent points": [
        "test_sampler_trials.py::"
        "test_after_a_restart_only_its_own_trials_and_an_untagged_incumbent_may_be_the_centre",
        "test_sampler.py::test_a_restart_begins_with_the_model_of_all_trials_and_without_a_centre",
    ],
    "of too many points the wrong ones were dropped, sorted along the wrong axis": [
        "scbo/test_models.py::test_the_nearest_points_are_those_of_a_slow_sort",
    ],
    "every coordinate was perturbed at once, and the box differed by a thousand times per axis": [
        "scbo/test_candidates.py::test_every_coordinate_gets_its_turn_also_the_last",
    ],
    "points under way were unknown to the model, batch after batch": [
        "test_sampler_spaces.py::"
        "test_asks_under_way_at_once_take_different_points_of_a_discrete_space",
        "scbo/test_novelty.py::test_the_first_point_that_is_neither_known_nor_pending_is_taken",
    ],
    "whole numbers were cut off, so that the upper bound was never drawn": [
        "scbo/test_space.py::test_every_level_of_a_grid_is_reached_with_equal_probability",
    ],
    "choices were numbers on a line": [
        "scbo/test_models.py::test_all_other_choices_are_equally_far_from_the_centre",
    ],
    "logarithmic scales held for the random points only": [
        f"{HERE}::test_the_models_see_a_logarithmic_scale_on_that_scale",
    ],
    "lateral inhibition had the sign of excitation": [
        "stdp_engine/test_distance.py::test_the_lateral_connections_inhibit",
        "stdp_engine/test_distance.py::"
        "test_a_neuron_inhibits_the_furthest_most_and_itself_not_at_all",
    ],
    "the constraint mirrored how coarse the check was, not the silence": [
        f"{HERE}::test_dead_networks_have_one_constraint_whatever_batches_they_were_checked_in",
        f"{HERE}::test_a_half_silent_network_violates_its_constraint_less_than_a_dead_one",
        "spikes/test_report.py::test_a_silent_layer_always_violates_its_constraint",
    ],
    "the constraint of a second layer held a partial count and passed for feasible": [
        "spikes/test_rules.py::test_a_stop_always_means_a_violated_constraint",
        f"{HERE}::test_the_layers_of_a_stopped_network_are_judged_on_the_same_samples",
    ],
    "the same constraint had two meanings in two libraries, with and without beta": [
        "spikes/test_report.py::"
        "test_the_constraint_is_the_silent_share_above_beta_after_the_warm_up",
    ],
    "N was a constant and not the size of the epoch": [
        "studies/test_experiments.py::test_scale_paper_has_the_papers_conditions_and_whole_space",
        "spikes/test_rules.py::test_the_papers_rule_counts_an_overlong_epoch_by_its_samples",
    ],
    "the last block of an epoch was never checked": [
        f"{HERE}::test_silence_in_the_last_block_of_an_epoch_is_seen",
    ],
    "a block was checked one sample or one batch late": [
        f"{HERE}::test_the_papers_rule_stops_at_the_sample_that_is_one_too_many",
    ],
    "the reported silence was that of whichever epoch ran last, without a word": [
        "test_monitor.py::test_an_epoch_is_judged_by_itself",
        "test_monitor.py::test_a_layer_not_seen_in_the_last_epoch_keeps_its_window",
    ],
    "stopped networks went through the whole test phase": [
        "objectives/stdp/test_objective.py::"
        "test_a_silent_network_is_pruned_in_training_and_never_decoded",
        "objectives/slayer/test_objective.py::"
        "test_a_silent_network_is_pruned_in_training_and_never_validated",
    ],
    "an error became an accuracy of 0 and a constraint of 100, which wrecked the models": [
        "test_sampler_trials.py::test_nan_objectives_fail_and_teach_nothing",
        "objectives/slayer/test_objective.py::"
        "test_a_training_that_diverges_fails_its_trial_with_the_reason",
        "scbo/test_constraint_transforms.py::"
        "test_warped_constraints_survive_subnormal_and_infinite_values_beside_huge_ones",
    ],
    "the flag of errors was overwritten, and the state of the trial before leaked": [
        "workers/test_worker.py::test_failed_trials_do_not_count_and_tell_why",
        f"{HERE}::test_a_trial_that_fails_leaves_nothing_to_the_next_one",
    ],
    "bare except clauses, and messages printed at every check": [
        f"{HERE}::test_no_exception_is_swallowed_unnamed",
        f"{HERE}::test_the_package_prints_nothing_but_in_the_command_line",
    ],
    "a criterion of silence returned nothing": [
        "test_monitor.py::test_record_never_stops_and_still_sets_the_constraint",
        "test_monitor_writes.py::test_a_run_without_a_judged_sample_is_an_error",
    ],
    "a two-sided bound of activity could never hold": [
        "spikes/test_saturation.py::"
        "test_a_saturated_layer_stops_the_network_and_the_verdict_says_why",
        "spikes/test_saturation.py::test_a_layer_may_be_silent_and_saturated_at_once",
    ],
    "spikes were summed over rows of an earlier block": [
        "objectives/stdp/test_diehl_cook.py::test_counts_are_spikes_per_sample_of_each_layer",
        "probes/test_counting.py::test_each_sample_gets_its_own_spikes",
    ],
    "weights of dead and of full synapses were counted the wrong way round": [
        # We count neither; what is kept are the weights themselves.
        "objectives/test_retrained.py::"
        "test_a_slayer_network_with_the_kept_weights_does_what_was_reported",
    ],
    "the search spaces were missing, and the scripts' defaults did not run": [
        "studies/test_experiments.py::test_an_experiment_runs_as_a_script_at_scale_smoke",
        "objectives/test_paper_spaces.py::test_every_row_of_the_papers_space_is_there",
    ],
    "results came from other settings than the scripts have, and two runs went by one name": [
        "studies/test_experiments.py::test_each_choice_has_a_study_of_its_own",
    ],
    "chosen networks were retrained in the space of another experiment": [
        "objectives/test_retrained.py::"
        "test_the_slayer_objective_retrains_with_its_defaults_and_setup",
        "retraining/test_best.py::test_the_best_feasible_trials_are_retrained_and_no_infeasible_one",
    ],
    "no result of retraining was kept": [
        "retraining/test_best.py::test_weights_results_and_the_studys_attributes_are_kept",
    ],
    "a worker that died hung the whole run, and nothing resumed a trial": [
        "workers/supervisor/test_supervisor.py::"
        "test_a_worker_that_dies_is_started_again_and_its_trial_is_retried",
        "objectives/stdp/test_killed.py::"
        "test_the_training_of_a_worker_killed_by_minus_9_is_resumed_by_the_next_one",
        "objectives/slayer/test_checkpoints.py::"
        "test_a_retry_goes_on_after_the_last_epoch_and_ends_as_if_nothing_had_happened",
    ],
    "all data was in one table of hundreds of columns that the master wrote": [
        "objectives/slayer/test_objective.py::"
        "test_a_finished_trial_knows_its_spikes_losses_and_times",
    ],
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_tests_that_would_find_a_defect_exist_and_run(defect: str) -> None:
    assert DEFECTS[defect]
    for pointer in DEFECTS[defect]:
        file, name = pointer.split("::")
        tree = ast.parse((TESTS / file).read_text())
        found = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == name]
        assert len(found) == 1, pointer
        marks = " ".join(ast.unparse(decorator) for decorator in found[0].decorator_list)
        assert "skip" not in marks and "xfail" not in marks, pointer


def test_every_test_of_this_file_that_a_defect_names_is_named_by_one() -> None:
    own = {
        node.name
        for node in ast.parse(Path(__file__).read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }
    named = {p.split("::")[1] for tests in DEFECTS.values() for p in tests if HERE in p}
    about_the_table = {name for name in own if "defect" in name}
    assert named == own - about_the_table


def watched(counts: list[int], batch_size: int, **options: object) -> tuple[float, int]:
    """The constraint of one layer with these spikes, and the samples until it was stopped."""
    trial = FixedTrial({})
    limits = {"alpha": 1, "beta": 0.1, "layers": ("out",), "warmup": 0}
    with SpikeMonitor(trial, **(limits | options)) as monitor:  # type: ignore[arg-type]
        for start in range(0, len(counts), batch_size):
            monitor.update("out", np.array(counts[start : start + batch_size]))
            if monitor.is_stopped:
                break
        n_seen = monitor.n_samples
    return trial.constraints["silent/out"], n_seen


@pytest.mark.parametrize("rule", ["paper", "sequential"])
def test_dead_networks_have_one_constraint_whatever_batches_they_were_checked_in(
    rule: str,
) -> None:
    found = {
        watched([0] * 400, batch_size, rule=rule, epoch_size=400)[0]
        for batch_size in (1, 2, 3, 5, 16, 40)
    }
    assert found == {0.9}


def test_a_half_silent_network_violates_its_constraint_less_than_a_dead_one() -> None:
    half, _ = watched([0, 3] * 200, 16)
    dead, _ = watched([0] * 400, 16)
    assert 0 < half < dead


def test_the_layers_of_a_stopped_network_are_judged_on_the_same_samples() -> None:
    """The one that did not stop it shows its share of what was seen, and not a partial count."""
    trial = FixedTrial({})
    with SpikeMonitor(trial, beta=0.1, layers=("dead", "half"), warmup=0) as monitor:
        while not monitor.is_stopped:
            monitor.update({"dead": np.zeros(16), "half": np.tile([0, 3], 8)})
    assert trial.constraints == {
        "silent/dead": pytest.approx(0.9),
        "silent/half": pytest.approx(0.4),
    }


def test_silence_in_the_last_block_of_an_epoch_is_seen() -> None:
    """100 samples in blocks of 32: the last four are a block too."""
    counts = [3] * 96 + [0] * 4
    constraint, n_seen = watched(counts, 32, rule="paper", epoch_size=100, beta=0.03)
    assert (constraint, n_seen) == (pytest.approx(0.01), 100)


def test_the_papers_rule_stops_at_the_sample_that_is_one_too_many() -> None:
    assert watched([0] * 100, 1, rule="paper", epoch_size=100, beta=0.1)[1] == 11
    assert watched([0] * 100, 11, rule="paper", epoch_size=100, beta=0.1)[1] == 11


def test_a_trial_that_fails_leaves_nothing_to_the_next_one() -> None:
    """The first one dies amid silence; the second, lively, is judged by its own spikes."""
    study = optuna.create_study(pruner=SpikeActivityPruner())

    def objective(trial: optuna.Trial) -> float:
        with SpikeMonitor(trial, layers=("out",), warmup=0) as monitor:
            if trial.number == 0:
                monitor.update("out", np.zeros(8))
                raise ArithmeticError("diverged")
            monitor.update("out", np.full(64, 5))
            assert not trial.should_prune()
        return 1.0

    study.optimize(objective, n_trials=2, catch=ArithmeticError)
    failed, after = study.trials
    assert (failed.state, after.state) == (TrialState.FAIL, TrialState.COMPLETE)
    assert after.constraints == {"silent/out": pytest.approx(-0.1)}


def test_the_models_see_a_logarithmic_scale_on_that_scale() -> None:
    """Of the decades from 1e-6 to 1 the value 1e-3 is the middle, there and back."""
    distributions: dict[str, BaseDistribution] = {"rate": FloatDistribution(1e-6, 1.0, log=True)}
    space = to_space(distributions)
    points, _ = to_points([{"rate": 1e-3}], distributions, space)
    assert points.tolist() == [[pytest.approx(0.5)]]
    assert to_params(points[0], distributions, space) == {"rate": pytest.approx(1e-3)}


def test_no_exception_is_swallowed_unnamed() -> None:
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ExceptHandler):
                assert node.type is not None, f"{path}:{node.lineno}"


def test_the_package_prints_nothing_but_in_the_command_line() -> None:
    # What a task of a job array prints is its log.
    may_print = {"cli", "display", "task.py"}
    for path in PACKAGE.rglob("*.py"):
        if may_print & set(path.relative_to(PACKAGE).parts):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "print", f"{path}:{node.lineno}"
