"""The command `optuna-snn`: words in, one public call out."""

from optuna_snn.cli.app import app, main

__all__ = ["app", "main"]
