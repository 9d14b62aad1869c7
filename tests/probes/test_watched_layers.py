"""What the monitor makes of the layers that it watches: their names, their parts of delta."""

import pytest
from optuna.trial import FixedTrial

from optuna_snn.monitor import SpikeMonitor
from optuna_snn.spikes.rules import declining_share
from optuna_snn.stored_spikes import SPIKES_KEY
from tests.probes.models import TwoLayers, inputs

NAMES = ["hidden", "output"]


def monitor(**options: object) -> SpikeMonitor:
    return SpikeMonitor(FixedTrial({}), warmup=0, **options)  # type: ignore[arg-type]


def test_counts_made_by_hand_go_along_with_watched_layers_where_both_are_declared() -> None:
    model = TwoLayers()
    with monitor(layers=NAMES) as watched:
        watched.watch(model, ["hidden"], "batch ...")
        model(inputs()[0])
        watched.update()
        watched.update("output", model.output.emitted[0].sum(1))


def delta_shares(watched: SpikeMonitor) -> dict[str, float]:
    layers = watched.state()["report"]["layers"]
    return {name: layer["delta_share"] for name, layer in layers.items()}


def test_watched_layers_share_delta_equally_as_declared_ones_do() -> None:
    model = TwoLayers()
    for declared in (None, NAMES):
        with monitor(layers=declared) as watched:
            watched.watch(model, NAMES, "batch ...")
            model(inputs()[0])
            watched.update()
            assert delta_shares(watched) == {"hidden": 0.5, "output": 0.5}
            with pytest.raises(ValueError, match=r"'other' was not declared.*watch\(\)"):
                watched.update("other", [1])


def test_an_epoch_that_starts_before_the_first_sample_of_watched_layers_writes_nothing() -> None:
    trial = FixedTrial({})
    model = TwoLayers()
    with SpikeMonitor(trial, warmup=0) as watched:
        watched.watch(model, NAMES, "batch ...")
        watched.start_epoch()
        assert trial.user_attrs == {}
        model(inputs()[0])
        watched.update()
        watched.start_epoch()
        assert [*trial.user_attrs] == [SPIKES_KEY]


def test_layers_that_were_seen_before_the_watch_keep_their_part_of_delta() -> None:
    model = TwoLayers()
    with monitor() as watched:
        watched.update("other", [1])
        watched.watch(model, ["hidden"], "batch ...")
        model(inputs()[0])
        watched.update()
        watched.update("another", [1])
        shares = delta_shares(watched)
    assert shares == {n: declining_share(j) for j, n in enumerate(shares, start=1)}
    assert [*shares] == ["other", "hidden", "another"]


def test_a_watch_that_is_refused_declares_nothing() -> None:
    model = TwoLayers()
    with monitor() as watched:
        with pytest.raises(ValueError, match="cannot be read"):
            watched.watch(model, ["hidden"], "batch ...", membranes=True)
        watched.update("other", [1])
        assert delta_shares(watched) == {"other": declining_share(1)}
