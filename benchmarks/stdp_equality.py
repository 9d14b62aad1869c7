"""Does the compiled STDP engine compute what BindsNET computes? Step by step from equal state.

    python -m benchmarks.stdp_equality --configurations 50 --digits 200

Random configurations of the first experiment's space (`EXPERIMENT_1_AS_RUN`) learn digits in
BindsNET. Before each step the engine gets BindsNET's potentials, refractory periods, traces and
spikes. It takes the step with its own weights and thresholds, which it carries from the first
digit to the last. Which neuron fires among those at their threshold is random, and taken from
BindsNET. After the step everything is compared.

float32 rounds sums by their order. Where a potential comes so near to its threshold that this
decides on a spike, the two differ: a flip. It must lie within MARGIN_MV of the threshold, by the
equations in float64; the engine then takes over BindsNET's threshold of that neuron. Anything else
that differs is counted as wrong, and nothing may be.

Each configuration is one line of JSON in `results/stdp_equality.jsonl` and is not repeated.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch
from numpy.typing import NDArray

from benchmarks.runs import RESULTS
from optuna_snn.objectives import DiehlCookConfig, split_digits
from optuna_snn.objectives.encoding import poisson_spikes
from optuna_snn.objectives.stdp.compiled import rules_of
from optuna_snn.objectives.stdp.diehl_cook import DiehlCookNetwork
from optuna_snn.objectives.stdp.spaces import EXPERIMENT_1_AS_RUN, stdp_config
from optuna_snn.stdp_engine import LearnedState, compiler, list_spikes
from optuna_snn.stdp_engine.records import Activity, Rules, at_rest

INTENSITY_HZ = 128.0
MARGIN_MV = 1e-4
ABSOLUTE, RELATIVE = 1e-4, 1e-6
"""Weights and thresholds may differ by ABSOLUTE; potentials, which inhibition takes to -10^5 mV,
by RELATIVE of their size as well."""

State = Mapping[str, NDArray[Any]]


@dataclass
class Equality:
    """How one configuration went.

    n_ready:     neurons at their threshold, summed over steps; one of them fires in each
    n_flips:     of spikes, or of neurons at their threshold
    flip_margin_mv: the largest distance of a flip from its threshold
    n_wrong:     all other differences
    The largest differences, of potentials relative to what is allowed.
    """

    seed: int
    params: dict[str, Any]
    n_digits: int
    n_steps: int
    is_learning: bool
    n_excitatory: int = 0
    n_inhibitory: int = 0
    n_ready: int = 0
    n_flips: int = 0
    flip_margin_mv: float = 0.0
    n_wrong: int = 0
    weight_difference: float = 0.0
    threshold_difference_mv: float = 0.0
    potential_difference: float = 0.0


class StateRecorder:
    """A monitor for BindsNET that copies all state after each step, weights after the last one."""

    def __init__(self, network: DiehlCookNetwork, n_steps: int) -> None:
        bindsnet = network._network
        self._layers = [bindsnet.layers[name] for name in ("input", "excitatory", "inhibitory")]
        self._weights = bindsnet.connections["input", "excitatory"].pipeline[0]
        self._n_steps = n_steps
        self.states: list[State] = []
        self.weights: NDArray[np.float32] | None = None

    def record(self) -> None:
        """Copy the state after a step."""
        inputs, e, i = self._layers
        state = {
            "trace_in": inputs.x,
            "v_e": e.v,
            "theta": e.theta,
            "wait_e": e.refrac_count,
            "trace_e": e.x,
            "s_e": e.s,
            "v_i": i.v,
            "wait_i": i.refrac_count,
            "s_i": i.s,
        }
        self.states.append({name: each.numpy().copy() for name, each in state.items()})
        if len(self.states) == self._n_steps:
            self.weights = self._weights.value.numpy().copy()

    def reset_state_variables(self) -> None:
        """BindsNET calls this after each batch."""


def random_config(seed: int) -> tuple[dict[str, Any], DiehlCookConfig]:
    """A random point of the paper's space: its params, and the network."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    params = study.ask(dict(EXPERIMENT_1_AS_RUN)).params
    return params, stdp_config(params).network


def compare(
    config: DiehlCookConfig,
    images: NDArray[np.float32],
    result: Equality,
    batch_size: int = 1,
) -> Equality:
    """Let both learn the images, or respond to them, and add to `result` how that went."""
    rng = np.random.default_rng(result.seed)
    network = DiehlCookNetwork(config, n_inputs=images.shape[1], rng=rng)
    rules = rules_of(config)
    net = LearnedState(network.weights, np.zeros(config.map_size, np.float32))
    for begin in range(0, len(images), batch_size):
        rates_hz = images[begin : begin + batch_size] * INTENSITY_HZ
        spikes = poisson_spikes(rates_hz, n_steps=result.n_steps, rng=rng)
        _compare_batch(network, config, rules, net, spikes, rng, result)
    return result


def _compare_batch(
    network: DiehlCookNetwork,
    config: DiehlCookConfig,
    rules: Rules,
    net: LearnedState,
    spikes: NDArray[np.bool_],
    rng: np.random.Generator,
    result: Equality,
) -> None:
    """One batch; `net` goes on as the engine's own."""
    kernels = compiler.load()
    learns = result.is_learning
    n_steps, n_samples, n_inputs = spikes.shape
    recorder = StateRecorder(network, n_steps)
    with recorded_by(network, recorder):
        (network.learn if learns else network.respond)(spikes, rng)
    lists = list_spikes(spikes)
    act = at_rest(rules, n_samples, n_inputs=n_inputs, n=config.map_size)
    winners = np.full((n_samples, n_steps), kernels.DRAWN, np.int32)
    n_inhibitory = np.zeros(n_samples, np.int64)
    generators = np.ones((n_samples, 4), np.uint64)
    before: State | None = None
    for t, after in enumerate(recorder.states):
        if before is not None:
            _take_over(act, before, t)
        winners[:, t] = np.where(after["s_e"].any(1), after["s_e"].argmax(1), -1)
        kernels.run(
            rules, net, act, lists, 0, n_samples, t, t + 1, learns, True, generators,
            winners, n_inhibitory, False, np.zeros((n_samples, 2), np.float32),
        )  # fmt: skip
        _compare_step(config, rules, net, act, t, after, result)
        before = after
    assert before is not None and recorder.weights is not None
    result.n_excitatory += int(np.count_nonzero(winners >= 0))
    result.n_inhibitory += int(n_inhibitory.sum())
    _compare_traces(rules, act, before, n_steps, result)
    _compare_weights(net.weights, recorder.weights, result)
    if learns:
        kernels.normalise(net.weights, rules.norm)
        _compare_weights(net.weights, network.weights, result)


@contextmanager
def recorded_by(network: DiehlCookNetwork, recorder: StateRecorder) -> Iterator[None]:
    """Inside, the recorder is one of the monitors of the network."""
    bindsnet = network._network
    run = bindsnet.run

    def run_recorded(*args: Any, **options: Any) -> None:
        bindsnet.monitors = {**bindsnet.monitors, "all state": recorder}
        run(*args, **options)

    bindsnet.run = run_recorded
    try:
        yield
    finally:
        del bindsnet.run


def _take_over(act: Activity, state: State, t: int) -> None:
    """Give the engine, before step t, the state that BindsNET has."""
    act.v_e[:], act.v_i[:] = state["v_e"], state["v_i"]
    act.open_e[:] = t + np.maximum(state["wait_e"], 0).astype(np.int32)
    act.open_i[:] = t + np.maximum(state["wait_i"], 0).astype(np.int32)
    act.trace_e[:] = state["trace_e"]
    act.fired_i[:], act.n_fired_i[:] = state["s_i"], state["s_i"].sum(1)
    for b, trace in enumerate(state["trace_e"]):
        known = np.flatnonzero(trace)
        act.winners[b, : len(known)], act.n_winners[b] = known, len(known)


def _compare_step(
    config: DiehlCookConfig,
    rules: Rules,
    net: LearnedState,
    act: Activity,
    t: int,
    after: State,
    result: Equality,
) -> None:
    """Compare the neurons after step t, and settle flips."""
    theta = net.theta_mv
    is_ready = act.open_e == t + 1 + config.e_refrac_ms
    is_ready &= act.v_e == rules.e_reset_mv
    result.n_ready += int(is_ready.sum())
    off_e = _too_far(act.v_e, after["v_e"], result) | _waits_differ(act.open_e, after["wait_e"], t)
    off_e |= np.abs(theta - after["theta"]) > ABSOLUTE
    off_i = _too_far(act.v_i, after["v_i"], result) | _waits_differ(act.open_i, after["wait_i"], t)
    off_i |= act.fired_i != after["s_i"]
    if result.is_learning:  # else nothing reads the traces, and the engine keeps none
        is_off = np.abs(act.trace_e - after["trace_e"]) > ABSOLUTE
        result.n_wrong += int(np.count_nonzero(is_off))
    if off_e.any() or off_i.any():
        thresholds = config.e_thresh_mv + theta, config.e_thresh_mv + after["theta"]
        margin_e = _margin(is_ready, (act.v_e, after["v_e"]), thresholds)
        fired_i = act.fired_i > 0
        margin_i = _margin(fired_i, (act.v_i, after["v_i"]), (config.i_thresh_mv,) * 2)
        for margin, is_off in ((margin_e, off_e), (margin_i, off_i)):
            is_flip = is_off & (margin < MARGIN_MV)
            result.n_flips += int(is_flip.sum())
            result.n_wrong += int((is_off & ~is_flip).sum())
            if is_flip.any():
                result.flip_margin_mv = max(result.flip_margin_mv, float(margin[is_flip].max()))
        is_flipped = off_e.any(0)
        theta[is_flipped] = after["theta"][is_flipped]
    difference = float(np.abs(theta - after["theta"]).max())
    result.threshold_difference_mv = max(result.threshold_difference_mv, difference)


def _too_far(
    ours: NDArray[np.float32], theirs: NDArray[np.float32], result: Equality
) -> NDArray[np.bool_]:
    ratio = np.abs(ours - theirs) / (ABSOLUTE + RELATIVE * np.abs(theirs))
    is_far = ratio > 1
    result.potential_difference = max(
        result.potential_difference, float(ratio.max(where=~is_far, initial=0.0))
    )
    return is_far


def _waits_differ(
    opens: NDArray[np.int32], waits: NDArray[np.float32], t: int
) -> NDArray[np.bool_]:
    """Whether refractory neurons have other numbers of steps to wait after step t."""
    return np.maximum(opens - (t + 1), 0) != np.maximum(waits, 0)


def _margin(
    is_ours_reset: NDArray[np.bool_], potentials: Any, thresholds: Any
) -> NDArray[np.float64]:
    """|v - threshold| of whichever of the two, ours or theirs, was not reset; (n_samples, n)."""
    ours, theirs = (
        np.abs(np.asarray(v, np.float64) - threshold)
        for v, threshold in zip(potentials, thresholds, strict=True)
    )
    return np.where(is_ours_reset, theirs, ours)


def _compare_traces(
    rules: Rules, act: Activity, state: State, n_steps: int, result: Equality
) -> None:
    """The traces of inputs after the last step, which the engine keeps as times of spikes."""
    age = n_steps - 1 - act.last_in
    ours = np.where(act.last_in < 0, 0.0, np.float64(rules.trace_decay) ** age)
    if result.is_learning:
        result.n_wrong += int(np.count_nonzero(np.abs(ours - state["trace_in"]) > ABSOLUTE))


def _compare_weights(
    ours: NDArray[np.float32], theirs: NDArray[np.float32], result: Equality
) -> None:
    difference = np.abs(ours - theirs)
    result.n_wrong += int(np.count_nonzero(difference > ABSOLUTE))
    result.weight_difference = max(result.weight_difference, float(difference.max()))


def run_one(seed: int, n_digits: int, n_steps: int) -> Equality:
    """One random configuration, in this process with one thread."""
    torch.set_num_threads(1)
    params, config = random_config(seed)
    images = split_digits(n_train=n_digits, n_validation=10, n_test=10, seed=seed).train.images
    return compare(config, images, Equality(seed, params, n_digits, n_steps, True))


def table(results: list[Equality]) -> str:
    """What all configurations gave, in one table of Markdown."""
    rows = {
        "configurations": len(results),
        "digits": sum(r.n_digits for r in results),
        "steps": sum(r.n_digits * r.n_steps for r in results),
        "excitatory spikes": sum(r.n_excitatory for r in results),
        "neurons at their threshold": sum(r.n_ready for r in results),
        "inhibitory spikes": sum(r.n_inhibitory for r in results),
        "flips by rounding": sum(r.n_flips for r in results),
        "furthest flip from its threshold, mV": max(r.flip_margin_mv for r in results),
        "other differences": sum(r.n_wrong for r in results),
        "largest difference of a weight": max(r.weight_difference for r in results),
        "largest difference of a threshold, mV": max(r.threshold_difference_mv for r in results),
    }
    lines = [f"| {name} | {value:,} |" for name, value in rows.items() if isinstance(value, int)]
    lines += [f"| {name} | {value:.2g} |" for name, value in rows.items() if type(value) is float]
    return "\n".join(["| | |", "|---|---|", *lines])


def main() -> None:
    """Compare the configurations that the results lack, then print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--configurations", type=int, default=50)
    parser.add_argument("--digits", type=int, default=200)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--results", type=Path, default=RESULTS / "stdp_equality.jsonl")
    arguments = parser.parse_args()
    path: Path = arguments.results
    lines = path.read_text().splitlines() if path.exists() else []
    results = [Equality(**json.loads(line)) for line in lines]
    todo = sorted(set(range(arguments.configurations)) - {each.seed for each in results})
    with ProcessPoolExecutor(arguments.jobs) as pool, path.open("a") as file:
        started = [pool.submit(run_one, s, arguments.digits, arguments.steps) for s in todo]
        for future in started:
            result = future.result()
            file.write(json.dumps(asdict(result)) + "\n")
            file.flush()
            print(
                f"seed {result.seed}: {result.n_excitatory} spikes, {result.n_flips} flips, "
                f"{result.n_wrong} wrong, weights within {result.weight_difference:.1e}",
                flush=True,
            )
            results.append(result)
    print(table(results))


if __name__ == "__main__":
    main()
