"""What the tests of checkpoints share: a study in memory."""

from __future__ import annotations

import optuna
import pytest


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study(study_name="digits")
