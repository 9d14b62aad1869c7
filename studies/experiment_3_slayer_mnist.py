"""Experiment 3 of Firmin, Boulet & Talbi (2024): SLAYER learns MNIST.

A convolutional network of ALIF neurons in lava-dl, trained by backpropagation: 25 steps of Poisson
spikes. The output layer is watched: a digit is silent below 5 spikes.

Run it:      python studies/experiment_3_slayer_mnist.py --scale laptop --workers 2
Options:     see experiment_options.py
Afterwards:  optuna-snn retrain studies/experiment_3_slayer_mnist.py --top 3 --repeats 16
             (with the same OPTUNA_SNN_SCALE and so on; --device cuda:0 on a GPU), for the
             accuracy to publish

Scale paper needs GPUs. The other scales keep the network and the ranges of its neurons; windows of
pools lie side by side, and what makes a trial expensive has lower bounds (`CHEAPER`).
Departures from the paper: those of `objectives.slayer.spaces`; what ends early is not validated;
a rule, the authors' too, is asked after each batch, not after 1200 digits.
"""

from dataclasses import replace

from experiment_data import mnist, name_of_mnist
from experiment_options import PAPER_BUDGET, Budget, read_options, run_script
from optuna.distributions import IntDistribution
from optuna.samplers import BaseSampler

from optuna_snn import SpikeActivityPruner
from optuna_snn.objectives import SLAYERObjective, spaces
from optuna_snn.objectives.slayer.spaces import EXPERIMENT_3_SETUP
from optuna_snn.workers import worker_device

if __name__ == "__main__":  # the run loads this file once more, as a study file
    run_script(__file__, {"smoke": Budget(4), "laptop": Budget(100), "paper": PAPER_BUDGET})

options = read_options()
split = mnist(options, n_train=2000, n_validation=500)
name = options.study_name("experiment_3_slayer_mnist", name_of_mnist(options, split))
direction = "maximize"
metric_name = "accuracy"

SPACES = {"released": spaces.EXPERIMENT_3_RELEASED, "as_run": spaces.EXPERIMENT_3_AS_RUN}
CHEAPER = {
    "smoke": {
        "epochs": IntDistribution(1, 2),
        "batch_size": IntDistribution(8, 50),
        "c1_filters": IntDistribution(1, 4),
        "c2_filters": IntDistribution(1, 4),
        "c1_k": IntDistribution(4, 8),
        "c2_k": IntDistribution(4, 8),
    },
    "laptop": {
        "epochs": IntDistribution(1, 5),
        "batch_size": IntDistribution(4, 50),
        "c1_filters": IntDistribution(1, 16),
        "c2_filters": IntDistribution(1, 32),
        "c1_k": IntDistribution(4, 8),
        "c2_k": IntDistribution(4, 8),
    },
    "paper": {},
}

objective = SLAYERObjective(
    split,
    space={**SPACES[options.space], **CHEAPER[options.scale]},
    setup=replace(EXPERIMENT_3_SETUP, overlapping_pools=options.is_paper, device=worker_device()),
    layers=("output",),
    alpha=5,
    beta=0.05,
    rule=options.rule,
    warmup=options.warmup({"smoke": 32, "laptop": None, "paper": None}[options.scale]),
    seed=options.seed,
)


def sampler() -> BaseSampler:
    """The paper's random design at its scale; at others the sampler's default."""
    return options.make_sampler(1000 if options.is_paper else None)


def pruner() -> SpikeActivityPruner:
    """Stops silent networks."""
    return SpikeActivityPruner()
