"""Experiment 2 of Firmin, Boulet & Talbi (2024): STDP learns gestures seen by an event camera.

A layer without labels, whose inhibition grows with the distance of its neurons, sees recordings of
DVS128 Gesture, 11 classes, in 100 frames. Both layers are watched: a recording is silent for a
layer that does not fire.

Run it:      python studies/experiment_2_stdp_dvs_gesture.py --scale laptop --workers 2
             --data FOLDER takes the real set; without, synthetic gestures take its place, and
             accuracies say nothing about the real set
Options:     see experiment_options.py
Afterwards:  optuna-snn retrain studies/experiment_2_stdp_dvs_gesture.py --top 3 --repeats 16
             (with the same OPTUNA_SNN_SCALE and so on), for the accuracy to publish
GPUs:        none are needed. The compiled engine runs on a CPU; workers that are given a GPU take
             BindsNET, which is far slower

Frames of fewer pixels, at scales smoke and laptop, bring fewer spikes: the sum of a neuron's
weights shrinks with the pixels.
Departures from the paper: those of `objectives.stdp.spaces`; the lateral connections inhibit (the
authors' excite, as published); decoders are fitted to the responses of the trained network; people
are held out for validation, not recordings; what ends early is not validated.
"""

from experiment_data import gestures, name_of_gestures
from experiment_options import PAPER_BUDGET, Budget, read_options, run_script
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler

from optuna_snn import SpikeActivityPruner
from optuna_snn.objectives import STDPObjective, STDPSetup, spaces
from optuna_snn.workers import worker_device

if __name__ == "__main__":  # the run loads this file once more, as a study file
    run_script(__file__, {"smoke": Budget(6), "laptop": Budget(100), "paper": PAPER_BUDGET})

options = read_options()
name = options.study_name("experiment_2_stdp_dvs_gesture", name_of_gestures(options))
direction = "maximize"
metric_name = "accuracy"

SPACES = {"released": spaces.EXPERIMENT_2_RELEASED, "as_run": spaces.EXPERIMENT_2_AS_RUN}
BETA = {
    "released": 0.3,
    "as_run": {"excitatory": 0.1, "inhibitory": 0.3},
}
STARTUP = {"released": 50, "as_run": 100}
SIDE = {"smoke": 32, "laptop": 64, "paper": 128}
N_STEPS = {"smoke": 30, "laptop": 50, "paper": 100}

whole = SPACES[options.space]
pixels = (SIDE[options.scale] / 128) ** 2
fewer_pixels = {"norm": FloatDistribution(whole["norm"].low * pixels, whole["norm"].high * pixels)}
CHEAPER = {
    "smoke": {"map_size": IntDistribution(50, 100), **fewer_pixels},
    "laptop": {"map_size": IntDistribution(50, 200), **fewer_pixels},
    "paper": {},
}

objective = STDPObjective(
    gestures(options, side=SIDE["laptop"]),
    space={**whole, **CHEAPER[options.scale]},
    setup=STDPSetup(
        network="distance",
        n_steps=N_STEPS[options.scale],
        batch_size=1,
        # The interval of the authors' scripts; that of their results is not known.
        report_every=10 if options.rule == "paper" else None,
        n_assign=None,
        device=worker_device(),
    ),
    alpha=1,
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
