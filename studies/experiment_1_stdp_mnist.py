"""Experiment 1 of Firmin, Boulet & Talbi (2024): STDP learns MNIST.

A Diehl & Cook network without labels: 100 steps of Poisson spikes, digit after digit, up to three
times the training set. Both layers are watched: a digit is silent for the excitatory layer below
5 spikes and for the inhibitory layer below 1.

Run it:      python studies/experiment_1_stdp_mnist.py --scale laptop --workers 2
Options:     see experiment_options.py
Afterwards:  optuna-snn retrain studies/experiment_1_stdp_mnist.py --top 3 --repeats 16
             (with the same OPTUNA_SNN_SCALE and so on), for the accuracy to publish
GPUs:        none are needed. The compiled engine runs on a CPU; workers that are given a GPU take
             BindsNET, which is far slower

Departures from the paper: those of `objectives.stdp.spaces`; all decoders are fitted to the
responses of the trained network, not along the way; what ends early is not validated.
"""

from experiment_data import mnist, name_of_mnist
from experiment_options import PAPER_BUDGET, Budget, read_options, run_script
from optuna.samplers import BaseSampler

from optuna_snn import SpikeActivityPruner
from optuna_snn.objectives import STDPObjective, STDPSetup, spaces
from optuna_snn.workers import worker_device

if __name__ == "__main__":  # the run loads this file once more, as a study file
    run_script(__file__, {"smoke": Budget(8), "laptop": Budget(100), "paper": PAPER_BUDGET})

options = read_options()
split = mnist(options, n_train=4000, n_validation=1000)
name = options.study_name("experiment_1_stdp_mnist", name_of_mnist(options, split))
direction = "maximize"
metric_name = "accuracy"

SPACES = {"released": spaces.EXPERIMENT_1_RELEASED, "as_run": spaces.EXPERIMENT_1_AS_RUN}
BETA = {"released": 0.05, "as_run": 0.1}
STARTUP = {"released": 200, "as_run": 100}
CHECK_EVERY = {"released": 1200, "as_run": 1000}

objective = STDPObjective(
    split,
    space=SPACES[options.space],
    setup=STDPSetup(
        n_steps=100,
        intensity_hz=128,
        batch_size=1,
        # The authors' rule looks at long intervals; a sequential one may look at any time.
        report_every=CHECK_EVERY[options.space] if options.rule == "paper" else None,
        n_assign=10_000,
        device=worker_device(),
    ),
    alpha={"excitatory": 5, "inhibitory": 1},
    beta=BETA[options.space],
    rule=options.rule,
    warmup=options.warmup({"smoke": 16, "laptop": 32, "paper": None}[options.scale]),
    seed=options.seed,
)


def sampler() -> BaseSampler:
    """The paper's random design at its scale; at others the sampler's default."""
    return options.make_sampler(STARTUP[options.space] if options.is_paper else None)


def pruner() -> SpikeActivityPruner:
    """Stops silent networks."""
    return SpikeActivityPruner()
