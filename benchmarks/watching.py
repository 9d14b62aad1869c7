"""What it costs to watch a network: a training step with and without `SpikeMonitor.watch`.

    python -m benchmarks.watching

measures, keeps the result in `benchmarks/results/watching.json` and prints a table. Three equal
networks train side by side in one thread, by turns, and the CPU seconds of neighbouring steps are
compared. With ``--membranes`` their membrane potentials are read as well, where that is possible,
and the result is kept in `watching_membranes.json`.

    plain     nobody looks
    counted   the spikes of two layers are counted and fetched once a batch
    judged    the same by ``monitor.update()``, which hands them to the rule as well; that costs as
              much where users count the spikes themselves

The networks read 784 pixels: 784-256-10 (or another hidden layer) with surrogate gradients and
Adam, 784-100-100 with STDP in BindsNET. Small networks are the hard case: what watching costs
hardly grows with them.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import json
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import torch
from optuna.trial import FixedTrial
from torch import Tensor, nn

from benchmarks.runs import RESULTS
from optuna_snn import SpikeMonitor
from optuna_snn.backends import bindsnet, lava_dl
from optuna_snn.probes.layers import find_layers
from optuna_snn.probes.watching import Watch

GOAL_PERCENT = 5.0
N_INPUTS, N_HIDDEN, N_CLASSES = 784, 256, 10
RATE = 0.1
"""Spikes per input and step."""
N_WARMUP = 3
CUBA = {
    "threshold": 1.25,
    "current_decay": 0.25,
    "voltage_decay": 0.03,
    "tau_grad": 0.03,
    "scale_grad": 3,
}


Step = Callable[[nn.Module, Tensor], object]


@dataclass(frozen=True)
class Case:
    """A network to be trained.

    build:   makes it, and what it does in one training step with its inputs
    shape:   of the inputs, with all axes in the framework's order
    layers:  what is watched
    package: whose version is kept with the result
    context: under which its steps run
    """

    framework: str
    package: str
    build: Callable[[], tuple[nn.Module, Step]]
    shape: tuple[int, ...]
    layers: Sequence[str]
    context: Callable[[], AbstractContextManager[object]] = nullcontext


@dataclass(frozen=True)
class Measured:
    """One row of the table: medians over `n_steps` steps; the costs are those of neighbours.

    middle_half_percent: from the lower to the upper quartile of the cost of counting
    """

    framework: str
    version: str
    inputs: tuple[int, ...]
    n_steps: int
    plain_ms: float
    counted_ms: float
    judged_ms: float
    counting_percent: float
    middle_half_percent: tuple[float, float]
    judging_percent: float


def snntorch_network(n_hidden: int) -> Callable[[], tuple[nn.Module, Step]]:
    """Neurons called once for each time step. Inputs: (time, batch, neurons)."""

    def build() -> tuple[nn.Module, Step]:
        snntorch = importlib.import_module("snntorch")
        layers = [snntorch.Leaky(beta=0.9, init_hidden=True) for _ in range(2)]

        def forward(model: nn.Module, x: Tensor) -> Tensor:
            for layer in (model[1], model[3]):
                layer.reset_mem()
            return torch.stack([model(step) for step in x]).sum(0)

        return in_sequence(nn.Linear, layers, n_hidden), gradient_step(forward)

    return build


def spikingjelly_network(
    step_mode: str,
) -> Callable[[], tuple[nn.Module, Step]]:
    """Single or multi-step. Inputs: (time, batch, neurons)."""

    def build() -> tuple[nn.Module, Step]:
        activation = importlib.import_module("spikingjelly.activation_based")
        for part in ("functional", "layer", "neuron"):
            importlib.import_module(f"spikingjelly.activation_based.{part}")
        layers = [activation.neuron.LIFNode(tau=2.0, v_threshold=0.5) for _ in range(2)]
        model = in_sequence(activation.layer.Linear, layers, N_HIDDEN)
        activation.functional.set_step_mode(model, step_mode)

        def forward(model: nn.Module, x: Tensor) -> Tensor:
            activation.functional.reset_net(model)
            spikes = model(x) if step_mode == "m" else torch.stack([model(step) for step in x])
            return spikes.sum(0)

        return model, gradient_step(forward)

    return build


def slayer_network() -> tuple[nn.Module, Step]:
    """Blocks of lava-dl. Inputs: (batch, neurons, time)."""
    dense = lava_dl.load().block.cuba.Dense
    model = nn.Sequential(dense(CUBA, N_INPUTS, N_HIDDEN), dense(CUBA, N_HIDDEN, N_CLASSES))
    return model, gradient_step(lambda model, x: model(x).sum(-1))


def bindsnet_network() -> tuple[nn.Module, Step]:
    """STDP in the network of Diehl & Cook. Inputs: (time, batch, neurons)."""
    bindsnet.load()
    models = importlib.import_module("bindsnet.models")
    options = {"norm": 60.0, "inh": 120.0, "nu": (1e-5, 1e-3), "reduction": torch.sum}

    def step(model: nn.Module, x: Tensor) -> None:
        network: Any = model
        network.run({"X": x.bool()}, time=len(x))
        network.reset_state_variables()

    return models.DiehlAndCook2015(N_INPUTS, **options), step


def in_sequence(
    linear: type[nn.Module], neurons: Sequence[nn.Module], n_hidden: int
) -> nn.Sequential:
    """The network of two layers of neurons, which are its modules "1" and "3"."""
    sizes = [(N_INPUTS, n_hidden), (n_hidden, N_CLASSES)]
    return nn.Sequential(
        *(each for pair in zip((linear(*n) for n in sizes), neurons, strict=True) for each in pair)
    )


def gradient_step(
    forward: Callable[[nn.Module, Tensor], Tensor],
) -> Step:
    """Forward, backward and a step of Adam; the labels do not matter here."""
    optimizers: dict[int, torch.optim.Optimizer] = {}

    def step(model: nn.Module, x: Tensor) -> None:
        adam = optimizers.setdefault(id(model), torch.optim.Adam(model.parameters(), lr=1e-4))
        spikes = forward(model, x)
        loss = nn.functional.cross_entropy(spikes, torch.zeros(len(spikes), dtype=torch.long))
        adam.zero_grad()
        loss.backward()
        adam.step()

    return step


CASES = (
    Case("snnTorch", "snntorch", snntorch_network(N_HIDDEN), (25, 32, N_INPUTS), ["1", "3"]),
    Case(
        "snnTorch, 1000 hidden",
        "snntorch",
        snntorch_network(1000),
        (25, 128, N_INPUTS),
        ["1", "3"],
    ),
    Case(
        "SpikingJelly, single step",
        "spikingjelly",
        spikingjelly_network("s"),
        (25, 32, N_INPUTS),
        ["1", "3"],
    ),
    Case(
        "SpikingJelly, multi-step",
        "spikingjelly",
        spikingjelly_network("m"),
        (25, 32, N_INPUTS),
        ["1", "3"],
    ),
    Case("lava-dl", "lava-dl", slayer_network, (32, N_INPUTS, 25), ["0", "1"]),
    Case(
        "BindsNET",
        "bindsnet",
        bindsnet_network,
        (100, 16, N_INPUTS),
        ["Ae", "Ai"],
        torch.inference_mode,
    ),
)


def measure(case: Case, n_steps: int, membranes: bool = False) -> Measured:
    """Train three twins of one network for `n_steps` steps each."""
    model, step = case.build()
    twins = {"plain": model, "counted": copy.deepcopy(model), "judged": copy.deepcopy(model)}
    inputs = (torch.rand(case.shape) < RATE).float()
    seconds: dict[str, list[float]] = {kind: [] for kind in twins}
    for kind in ("counted", "judged") if membranes else ():
        for module in twins[kind].modules():
            if hasattr(module, "store_v_seq"):
                module.store_v_seq = module.step_mode == "m"  # what reading asks for
    with SpikeMonitor(FixedTrial({}), warmup=0) as monitor, case.context():
        monitor.watch(twins["judged"], case.layers, membranes=membranes)
        watch = Watch(find_layers(twins["counted"], case.layers), case.layers if membranes else ())
        closing = {"plain": lambda: None, "counted": watch.take, "judged": monitor.update}
        kinds = list(twins)
        for i in range(N_WARMUP + n_steps):
            for kind in kinds[i % 3 :] + kinds[: i % 3]:
                started = time.process_time()
                step(twins[kind], inputs)
                closing[kind]()
                if i >= N_WARMUP:
                    seconds[kind].append(time.process_time() - started)
    low, counting, high = cost_quartiles(seconds["counted"], seconds["plain"])
    _, judging, _ = cost_quartiles(seconds["judged"], seconds["plain"])
    medians = {kind: 1000 * statistics.median(seconds[kind]) for kind in twins}
    return Measured(
        framework=case.framework,
        version=version(case.package),
        inputs=case.shape,
        n_steps=n_steps,
        plain_ms=round(medians["plain"], 3),
        counted_ms=round(medians["counted"], 3),
        judged_ms=round(medians["judged"], 3),
        counting_percent=counting,
        middle_half_percent=(low, high),
        judging_percent=judging,
    )


def cost_quartiles(seconds: Sequence[float], plain: Sequence[float]) -> list[float]:
    """Quartiles, in percent, of what a step takes beyond the plain one that was taken next to it.

    Neighbours share the moment and so the load of the machine.
    """
    ratios = [each / other for each, other in zip(seconds, plain, strict=True)]
    return [round(100 * (ratio - 1), 2) for ratio in statistics.quantiles(ratios, n=4)]


def table(rows: Sequence[Measured]) -> str:
    """The rows as a table in Markdown."""
    lines = [
        "| framework | inputs | plain step, ms | counted, % | judged, % |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        low, high = row.middle_half_percent
        lines.append(
            f"| {row.framework} ({row.version}) | {' × '.join(map(str, row.inputs))} "
            f"| {row.plain_ms:.1f} | +{row.counting_percent:.1f} ({low:.1f} to {high:.1f}) "
            f"| +{row.judging_percent:.1f} |"
        )
    missed = [row.framework for row in rows if row.counting_percent >= GOAL_PERCENT]
    lines += [
        "",
        f"Medians of {rows[0].n_steps} steps in one thread, CPU time beyond that of a plain step; "
        f"in brackets the middle half. Goal, counting below {GOAL_PERCENT:g} %: "
        f"{'missed by ' + ', '.join(missed) if missed else 'kept'}.",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure all frameworks, keep the result, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=301, help="steps of each network")
    parser.add_argument("--membranes", action="store_true", help="read the potentials as well")
    parser.add_argument("--results", type=type(RESULTS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    cases = [case for case in CASES if not arguments.membranes or case.package != "lava-dl"]
    rows = [measure(case, arguments.steps, arguments.membranes) for case in cases]
    kept = {"torch": torch.__version__.partition("+")[0], "rows": [asdict(row) for row in rows]}
    name = "watching_membranes.json" if arguments.membranes else "watching.json"
    path = arguments.results or RESULTS / name
    path.write_text(json.dumps(kept, indent=1) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
