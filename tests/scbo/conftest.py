"""The pure steps run as the sampler runs them: on one thread."""

from collections.abc import Iterator

import pytest

from optuna_snn.threads import one_thread_on_cpu


@pytest.fixture(autouse=True)
def _on_one_thread() -> Iterator[None]:
    with one_thread_on_cpu():
        yield
