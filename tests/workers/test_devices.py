"""Devices: the i-th of those that this process was given, one for each worker."""

from __future__ import annotations

import pytest

from optuna_snn.workers.devices import SlotDevice, assign_devices, worker_device
from optuna_snn.workers.errors import RunError

UUIDS = "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6,GPU-00000000-d72c-4106-c12f-20bd9faed9f6"
MIGS = "MIG-GPU-8932f937-d72c-4106-c12f-20bd9faed9f6/1/2,MIG-c7384736-a75d-5afc-978f-d2f1294409fd"


def visible(
    words: str | None,
    inherited: str | None,
    *,
    n_workers: int | None = None,
    n_slots: int | None = None,
    n_found: int = 0,
) -> list[str | None]:
    """What each worker gets as CUDA_VISIBLE_DEVICES."""
    assigned = assign_devices(
        None if words is None else words.split(","),
        n_workers=n_workers,
        n_slots=n_slots,
        environment={} if inherited is None else {"CUDA_VISIBLE_DEVICES": inherited},
        count=lambda: n_found,
    )
    return [device.visible for device in assigned]


@pytest.mark.parametrize(
    ("words", "inherited", "expected"),
    [
        ("cuda:0,cuda:1", "3,5", ["3", "5"]),
        ("cuda:1", "3,5", ["5"]),
        ("cuda:1,cuda:0", "3,5", ["5", "3"]),
        ("cuda:0, cuda:1", " 3 , 5 ", ["3", "5"]),
        ("all", "3,5", ["3", "5"]),
        ("cuda", "3,5", ["3", "5"]),
        ("all", UUIDS, UUIDS.split(",")),
        ("cuda:1", UUIDS, UUIDS.split(",")[1:]),
        ("all", MIGS, MIGS.split(",")),
        ("cuda:2", None, ["2"]),
        ("cpu", "3,5", [""]),
        ("cpu", None, [""]),
        ("cpu,cuda:1", "3,5", ["", "5"]),
        ("all", "3,-1,5", ["3"]),  # CUDA stops reading at the first entry that it does not know
        ("all", "3,", ["3"]),
    ],
)
def test_a_device_is_the_entry_with_its_index(
    words: str, inherited: str | None, expected: list[str]
) -> None:
    assert visible(words, inherited) == expected


def test_all_devices_are_counted_only_where_no_list_is_inherited() -> None:
    assert visible("all", None, n_found=3) == ["0", "1", "2"]
    assert visible("all", "7", n_found=3) == ["7"]


def test_several_workers_on_each_device_come_after_one_on_each() -> None:
    assert visible("cuda:0,cuda:1", "3,5", n_slots=2) == ["3", "5", "3", "5"]
    assert visible("all", "3,5", n_slots=2, n_workers=4) == ["3", "5", "3", "5"]


def test_workers_without_devices_see_what_this_process_sees() -> None:
    assert visible(None, "3,5", n_workers=3) == [None] * 3
    assert visible(None, None) == [None]
    assert SlotDevice("").environment() == {}


def test_the_cpu_alone_takes_any_number_of_workers() -> None:
    assert visible("cpu", "3", n_workers=4) == [""] * 4
    assert visible("cpu", None, n_slots=3) == [""] * 3


def test_inside_a_worker_the_device_is_the_first_cuda_device_or_the_cpu() -> None:
    assert SlotDevice("cuda:1", "5").environment() == {
        "CUDA_VISIBLE_DEVICES": "5",
        "OPTUNA_SNN_DEVICE": "cuda:0",
    }
    assert SlotDevice("cpu", "").environment() == {
        "CUDA_VISIBLE_DEVICES": "",
        "OPTUNA_SNN_DEVICE": "cpu",
    }


def test_an_objective_asks_for_its_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPTUNA_SNN_DEVICE", raising=False)
    assert worker_device() == "cpu"
    monkeypatch.setenv("OPTUNA_SNN_DEVICE", "cuda:0")
    assert worker_device() == "cuda:0"


@pytest.mark.parametrize(
    ("words", "inherited", "message"),
    [
        ("cuda:2", "3,5", "CUDA_VISIBLE_DEVICES=3,5 has 2 entries, cuda:0 to cuda:1"),
        ("cuda:0", "", "CUDA_VISIBLE_DEVICES='' leaves this process no device"),
        ("cuda:0", "-1", "CUDA_VISIBLE_DEVICES='-1' leaves this process no device"),
        ("all", "NoDevFiles", "'NoDevFiles' leaves this process no device; use --devices cpu"),
        ("all", None, "torch finds no CUDA device here"),
        ("cuda:1,cuda:1", "3,5", "names cuda:1 twice; for several workers on one device use"),
        ("cuda:1,cuda:01", "3,5", "names cuda:01 twice"),
        ("cpu,cpu", None, "names cpu twice"),
        ("cuda:0", "3,3", "CUDA_VISIBLE_DEVICES=3,3 lists 3 twice"),
        ("cuda:0,all", "3,5", "'all' is no device; write cuda:0,cuda:1"),
        ("gpu:0", None, "'gpu:0' is no device"),
        ("0", None, "'0' is no device"),
        ("cuda:-1", None, "'cuda:-1' is no device"),
        ("cuda:0,", "3", "'' is no device"),
        ("", None, "--devices names no device"),
    ],
)
def test_a_device_that_cannot_be_given_is_told_in_one_line(
    words: str, inherited: str | None, message: str
) -> None:
    with pytest.raises(RunError) as caught:
        visible(words, inherited)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_numbers_that_disagree_are_told() -> None:
    with pytest.raises(RunError, match="--workers 3 is not 2 devices x 1 workers on each"):
        visible("cuda:0,cuda:1", "3,5", n_workers=3)
    with pytest.raises(RunError, match="--workers 4 is not 1 devices x 2 workers"):
        visible("cpu", None, n_workers=4, n_slots=2)
    with pytest.raises(RunError, match="no --devices are given; without devices say --workers 2"):
        visible(None, None, n_slots=2)
    with pytest.raises(ValueError, match="n_slots must be 1 or more, got 0"):
        visible("cpu", None, n_slots=0)
    with pytest.raises(ValueError, match="n_workers must be 1 or more, got 0"):
        visible(None, None, n_workers=0)
