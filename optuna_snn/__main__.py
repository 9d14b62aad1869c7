"""`python -m optuna_snn` is the command `optuna-snn`."""

import sys

from optuna_snn.cli import main

if __name__ == "__main__":
    sys.exit(main())
