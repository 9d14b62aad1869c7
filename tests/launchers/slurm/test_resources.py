"""What is asked of SLURM, and what it would not take."""

from __future__ import annotations

from typing import Any

import pytest

from optuna_snn.launchers.slurm import SlurmResources
from optuna_snn.launchers.slurm.resources import (
    FIXED_OPTIONS,
    OWN_OPTIONS,
    read_sbatch_options,
)
from optuna_snn.workers.errors import RunError


def test_only_what_was_given_is_asked_for() -> None:
    assert SlurmResources().options() == {"requeue": None}
    full = SlurmResources(
        partition="gpu", account="lab", qos="long", constraint="a100|h100", gpus="a100:2",
        cpus=8, memory="16G", sbatch={"nice": "100", "exclusive": None},
    )  # fmt: skip
    assert full.options() == {
        "partition": "gpu", "account": "lab", "qos": "long", "constraint": "a100|h100",
        "gpus-per-node": "a100:2", "cpus-per-task": "8", "mem": "16G", "requeue": None,
        "nice": "100", "exclusive": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "devices", "n_workers"),
    [
        ({}, ("cpu",), 1),
        ({"n_slots": 3}, ("cpu",), 3),
        ({"gpus": "2"}, ("all",), 2),
        ({"gpus": "a100:4", "n_slots": 2}, ("all",), 8),
        ({"sbatch": {"gres": "gpu:v100:2"}}, ("all",), None),
        ({"sbatch": {"gpus-per-task": "1"}}, ("all",), None),
        ({"sbatch": {"tres-per-task": "cpu:4,gres/gpu:1"}}, ("all",), None),
        ({"sbatch": {"gres": "lustre:1"}}, ("cpu",), 1),
    ],
)
def test_workers_run_on_the_gpus_that_were_asked_for_else_on_cpus(
    given: dict[str, Any], devices: tuple[str, ...], n_workers: int | None
) -> None:
    resources = SlurmResources(**given)
    assert (resources.devices, resources.n_workers) == (devices, n_workers)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"array_size": 0}, "--array-size must be 1 or more, got 0"),
        ({"parallel": 0}, "--parallel must be 1 or more, got 0"),
        ({"n_slots": -1}, "--slots must be 1 or more, got -1"),
        ({"cpus": 0}, "--cpus must be 1 or more, got 0"),
        ({"gpus": "0"}, "--gpus '0' is no number of GPUs; write 2, or a100:2"),
        ({"gpus": "two"}, "--gpus 'two' is no number"),
        ({"gpus": "2 --evil"}, "--gpus '2 --evil' is no number"),
        ({"memory": "16 GB"}, "--memory '16 GB' is no size; write it like 16G or 800M"),
        ({"memory": "-1"}, "--memory '-1' is no size"),
        ({"time": "soon"}, "--time 'soon' is no time for SLURM"),
        ({"partition": "gpu\n#SBATCH --uid=0"}, "--partition has to be one line"),
        ({"sbatch": {"comment": "a\nrm -rf"}}, "--sbatch comment has to be one line"),
        ({"sbatch": {"mem": "3G"}}, "--sbatch mem: use --memory"),
        ({"sbatch": {"nodes": "2"}}, "--sbatch nodes cannot be chosen: a task runs on one node"),
        ({"sbatch": {"": "2"}}, "--sbatch '' is no option of sbatch; write KEY=VALUE"),
        ({"sbatch": {"nice me": "2"}}, "--sbatch 'nice me' is no option"),
    ],
)
def test_a_value_that_slurm_would_not_take_is_told_in_one_line(
    given: dict[str, Any], message: str
) -> None:
    with pytest.raises(RunError) as caught:
        SlurmResources(**given)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("option", [*OWN_OPTIONS, *FIXED_OPTIONS])
def test_options_that_are_said_otherwise_are_not_said_twice(option: str) -> None:
    with pytest.raises(RunError, match=f"--sbatch {option}"):
        SlurmResources(sbatch={option: "1"})


def test_options_of_sbatch_are_read_as_a_user_writes_them() -> None:
    words = ["nice=100", "--mail-user=a=b@c", "exclusive", "mail_type=END", "comment="]
    assert read_sbatch_options(words) == {
        "nice": "100", "mail-user": "a=b@c", "exclusive": None, "mail-type": "END", "comment": "",
    }  # fmt: skip
    with pytest.raises(RunError, match="--sbatch nice is given twice"):
        read_sbatch_options(["nice=1", "--nice=2"])
