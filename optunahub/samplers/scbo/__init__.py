"""SCBOSampler of the package optuna-snn."""

try:
    from optuna_snn import SCBOSampler
except ModuleNotFoundError as error:
    if error.name != "optuna_snn":  # it is installed, and something that it needs is not
        raise
    raise ModuleNotFoundError(
        "samplers/scbo needs the package optuna-snn, which is not installed. "
        "Install it with: pip install optuna-snn",
        name="optuna_snn",
    ) from None


__all__ = ["SCBOSampler"]
