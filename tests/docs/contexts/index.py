"""The network of the README."""

import runpy
from pathlib import Path

_readme = runpy.run_path(str(Path(__file__).with_name("readme.py")))
build, train, accuracy, batches = (
    _readme[name] for name in ("build", "train", "accuracy", "batches")
)

CHECKS = {"n_trials=50": _readme["check_the_study"]}
