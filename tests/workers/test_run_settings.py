"""What a run is told: limits that can be kept, and its words on a command line."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from optuna_snn.workers.run_settings import RunSettings

SETTINGS = RunSettings(Path("study.py"), "postgresql://user:secret@h/d", n_trials=7)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"n_trials": 0}, "n_trials must be 1 or more, got 0"),
        ({"n_trials": -1}, "n_trials must be 1 or more, got -1"),
        ({"timeout_s": -1.0}, "timeout_s must be 0 or more, got -1.0; None means no limit"),
        ({"timeout_s": math.nan}, "timeout_s must be 0 or more, got nan"),
        ({"trial_timeout_s": 0.0}, "trial_timeout_s must be above 0, got 0.0; None means no"),
        ({"trial_timeout_s": math.nan}, "trial_timeout_s must be above 0, got nan"),
    ],
)
def test_a_limit_that_nothing_can_keep_is_refused(limits: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SETTINGS, **limits)


def test_the_smallest_limits_are_taken() -> None:
    assert replace(SETTINGS, n_trials=1, timeout_s=0.0, trial_timeout_s=1e-3).n_trials == 1


def test_a_command_line_has_what_is_given_and_no_storage() -> None:
    settings = replace(SETTINGS, timeout_s=60.0, grace_s=30, patience_s=90.0, stop_grace_s=3.0)
    words = "study.py --n-trials 7 --timeout 60.0 --grace 30 --patience 90.0 --stop-grace 3.0"
    assert settings.words() == words.split()
