"""The paper's search spaces, row by row, written down a second time.

A row is the name and, by the authors' scripts and by their results, type, bounds and scale: "log",
else linear. Their third scale, dense near the upper bound, is linear here.
"""

from __future__ import annotations

import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FixedTrial

from optuna_snn.objectives import spaces
from optuna_snn.objectives.stdp.spaces import default_config, stdp_config, suggest_stdp_config

EXPERIMENT_1 = """
epochs         | int 1 3             | int 1 3
map_size       | int 10 1000         | int 20 2000 log
nu_pre         | float 1e-4 1e-3 log | float 1e-4 0.01 log
nu_post        | float 1e-3 0.01     | float 1e-4 0.01 log
strength_exc   | float 50 500        | float 1 500 log
strength_inh   | float 60 600        | float 0.8 500 log
norm           | float 78.4 200      | float 78.4 784
e_thresh       | float -70 -50       | float -59 0
e_rest         | float -65 -55       | float -70 -60
theta_plus     | float 0.01 0.1 log  | float 1e-3 0.5 log
tc_theta_decay | float 1e6 1e7       | float 1e6 2e7
e_tc_decay     | float 1e3 5e3       | float 5 5e3 log
i_tc_decay     | float 1e3 5e3 log   | float 5 5e3 log
i_thresh       | float -30 -10       | float -40 0
i_rest         | float -60 -40       | float -60 -45
e_refrac       | int 1 10            | int 0 20
i_refrac       | int 15 35           | int 0 20
"""

EXPERIMENT_2 = """
reset_interval | int 10 100          | int 5 100
map_size       | int 50 500          | int 20 1000
nu_pre         | float 1e-3 0.01 log | float 1e-4 0.01 log
nu_post        | float 0.01 0.1 log  | float 1e-4 0.01 log
strength_exc   | float 10 160 log    | float 1 500 log
strength_inh   | float 30 280 log    | float 1 500 log
norm           | float 3276.8 16384  | float 3277 32768
e_thresh       | float -40 0         | float -59 60
e_rest         | float -140 -75      | float -140 -60
theta_plus     | float 0.5 5 log     | float 0.01 1 log
tc_theta_decay | float 5e6 5e7       | float 1e6 2e7
e_tc_decay     | float 1e3 5e3 log   | float 5 5e3 log
e_tc_trace     | float 500 5e3 log   | float 5 5e3 log
i_tc_decay     | float 500 5e3 log   | float 5 5e3 log
i_thresh       | float -10 10        | float -40 40
i_rest         | float -80 -60       | float -120 -45
e_refrac       | int 0 20            | int 0 40
i_refrac       | int 20 40           | int 0 40
epochs         | -                   | int 1 3
"""

EXPERIMENT_3 = """
epochs           | int 1 40            | int 1 40
batch_size       | int 1 50            | int 1 50
c1_filters       | int 1 128           | int 1 128
c2_filters       | int 1 128           | int 1 128
c1_k             | int 4 12            | int 4 12
c2_k             | int 4 12            | int 4 12
learning_rate    | float 1e-3 0.1 log  | float 1e-3 0.1 log
tau_grad         | float 0.1 1 log     | float 0.1 1 log
scale_grad       | float 0.5 1 log     | float 0.5 1 log
threshold        | float 0.4 4         | float 0.4 4
threshold_step   | float 1e-3 0.25 log | float 1e-3 0.25 log
current_decay    | float 0.1 0.99      | float 0.1 0.99
voltage_decay    | float 0.01 0.2 log  | float 0.01 0.2 log
threshold_decay  | float 0.01 0.5 log  | float 0.01 0.5 log
refractory_decay | float 0.1 0.99      | float 0.1 0.99
dropout          | float 0.01 0.9 log  | float 0.01 0.9 log
"""

EXPERIMENT_4 = """
epochs           | int 1 15           | int 1 15
batch_size       | int 1 5            | int 1 6
c1_filters       | int 1 36           | int 1 36
c2_filters       | int 1 36           | int 1 36
c1_k             | int 4 48           | int 4 48
c2_k             | int 4 48           | int 4 48
learning_rate    | float 1e-3 0.1 log | float 1e-3 0.1 log
tau_grad         | float 0.1 1 log    | float 0.1 1 log
scale_grad       | float 0.5 1 log    | float 0.5 1 log
threshold        | float 0.1 1 log    | float 0.1 1 log
threshold_step   | float 1e-3 0.4 log | float 1e-3 0.4 log
current_decay    | float 0.1 0.99     | float 0.1 0.99
voltage_decay    | float 0.01 0.9     | float 0.01 0.9
threshold_decay  | float 0.01 0.5 log | float 0.01 0.5 log
refractory_decay | float 0.1 0.99 log | float 0.1 0.99 log
dropout          | float 0.01 0.9 log | float 0.01 0.9 log
"""

ALL, VOTE = "all_activity", "proportion_weighting"
DECODERS = {
    1: [(ALL, VOTE, "2gram"), (ALL, VOTE, "2gram", "3gram")],
    2: [(ALL, VOTE, "2gram", "log", "svm")] * 2,
    3: [("rate", "max")] * 2,
    4: [("rate", "max")] * 2,
}
TABLES = {1: EXPERIMENT_1, 2: EXPERIMENT_2, 3: EXPERIMENT_3, 4: EXPERIMENT_4}
VARIANTS = ("RELEASED", "AS_RUN")

experiments = pytest.mark.parametrize("number", TABLES)
variants = pytest.mark.parametrize("variant", VARIANTS)


def written(number: int, variant: str) -> dict[str, BaseDistribution]:
    """The space that a table says."""
    column = 1 + VARIANTS.index(variant)
    space: dict[str, BaseDistribution] = {
        "decoder": CategoricalDistribution(DECODERS[number][column - 1])
    }
    for line in TABLES[number].strip().splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if cells[column] == "-":
            continue
        kind, low, high, *scale = cells[column].split()
        is_log = scale == ["log"]
        space[cells[0]] = (
            IntDistribution(int(low), int(high), log=is_log)
            if kind == "int"
            else FloatDistribution(float(low), float(high), log=is_log)
        )
    return space


@variants
@experiments
def test_every_row_of_the_papers_space_is_there(number: int, variant: str) -> None:
    assert dict(getattr(spaces, f"EXPERIMENT_{number}_{variant}")) == written(number, variant)


@variants
def test_every_parameter_of_experiment_2_reaches_the_network(variant: str) -> None:
    space = getattr(spaces, f"EXPERIMENT_2_{variant}")
    params = {name: getattr(d, "high", "svm") for name, d in space.items()}
    config = suggest_stdp_config(FixedTrial(params), space, default_config("distance"))
    assert config == stdp_config(params, default_config("distance"))
    found = vars(config.network) | {"epochs": config.n_epochs, "decoder": config.decoder}
    for name, value in params.items():
        (key,) = {name, f"{name}_mv", f"{name}_ms"} & found.keys()
        assert found[key] == value
