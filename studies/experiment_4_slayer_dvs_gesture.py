"""Experiment 4 of Firmin, Boulet & Talbi (2024): SLAYER learns gestures seen by an event camera.

A convolutional network of ALIF neurons in lava-dl on the recordings of DVS128 Gesture, 11 classes,
in 100 frames of 128 x 128. The output layer is watched: a recording is silent if it does not fire.

Run it:      python studies/experiment_4_slayer_dvs_gesture.py --scale laptop --workers 2
             --data FOLDER takes the real set; without, synthetic gestures take its place, and
             accuracies say nothing about the real set
Options:     see experiment_options.py
Afterwards:  optuna-snn retrain studies/experiment_4_slayer_dvs_gesture.py --top 3 --repeats 16
             (with the same OPTUNA_SNN_SCALE and so on; --device cuda:0 on a GPU), for the
             accuracy to publish

Scale paper needs GPUs. The other scales keep the network and the ranges of its neurons; they have
fewer frames, pools side by side, and lower bounds of what makes a trial expensive (`CHEAPER`).
Departures from the paper: those of `objectives.slayer.spaces`; people are held out for validation,
not recordings; what ends early is not validated; a rule, the authors' too, is asked after each
batch, not after 40 recordings.
"""

from dataclasses import replace

from experiment_data import gestures, name_of_gestures
from experiment_options import PAPER_BUDGET, Budget, read_options, run_script
from optuna.distributions import IntDistribution
from optuna.samplers import BaseSampler

from optuna_snn import SpikeActivityPruner
from optuna_snn.objectives import SLAYERConfig, SLAYERObjective, spaces
from optuna_snn.objectives.slayer.spaces import EXPERIMENT_4_SETUP
from optuna_snn.workers import worker_device

if __name__ == "__main__":  # the run loads this file once more, as a study file
    run_script(__file__, {"smoke": Budget(4), "laptop": Budget(100), "paper": PAPER_BUDGET})

options = read_options()
name = options.study_name("experiment_4_slayer_dvs_gesture", name_of_gestures(options))
direction = "maximize"
metric_name = "accuracy"

SPACES = {"released": spaces.EXPERIMENT_4_RELEASED, "as_run": spaces.EXPERIMENT_4_AS_RUN}
CHEAPER = {
    "smoke": {
        "epochs": IntDistribution(1, 2),
        "c1_filters": IntDistribution(1, 4),
        "c2_filters": IntDistribution(1, 4),
        "c1_k": IntDistribution(4, 5),
        "c2_k": IntDistribution(4, 5),
    },
    "laptop": {
        "epochs": IntDistribution(1, 6),
        "c1_filters": IntDistribution(1, 16),
        "c2_filters": IntDistribution(1, 24),
        "c1_k": IntDistribution(4, 8),
        "c2_k": IntDistribution(4, 8),
    },
    "paper": {},
}
N_STEPS = {"smoke": 10, "laptop": 25, "paper": EXPERIMENT_4_SETUP.n_steps}
N_HIDDEN = {"smoke": 16, "laptop": 64, "paper": 512}

objective = SLAYERObjective(
    gestures(options, side=128),
    space={**SPACES[options.space], **CHEAPER[options.scale]},
    setup=replace(
        EXPERIMENT_4_SETUP,
        n_steps=N_STEPS[options.scale],
        overlapping_pools=options.is_paper,
        device=worker_device(),
    ),
    defaults=SLAYERConfig(n_hidden=N_HIDDEN[options.scale]),
    layers=("output",),
    alpha=1,
    beta=0.3,
    rule=options.rule,
    warmup=options.warmup({"smoke": 16, "laptop": None, "paper": None}[options.scale]),
    seed=options.seed,
)


def sampler() -> BaseSampler:
    """The paper's random design at its scale; at others the sampler's default."""
    return options.make_sampler(250 if options.is_paper else None)


def pruner() -> SpikeActivityPruner:
    """Stops silent networks."""
    return SpikeActivityPruner()
