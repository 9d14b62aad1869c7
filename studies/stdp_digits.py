"""Teach a spiking network to read digits, without telling it what they are.

Each trial builds a network of Diehl & Cook (2015) in BindsNET: pixels fire at the rate of their
brightness, excitatory neurons compete for them through inhibition, and STDP lets each neuron keep
what made it win. After 600 handwritten digits somebody looks at the labels, once, to see which
neuron came to stand for which digit; 400 digits that the network has never met decide how good it
is. Guessing gives 10 %. Every digit is on show for a tenth of a second of the network's life.

Twelve hyperparameters are tuned (`STDP_DIGITS`), and most combinations are hopeless: thresholds
out of reach, inputs too faint, inhibitory neurons that nothing wakes. Nearly nine of ten random
networks fall silent. `SpikeActivityPruner` notices after a few dozen digits, and `SCBOSampler`
learns from every silence where not to look again.

Run it:   optuna-snn run studies/stdp_digits.py --n-trials 60 --workers 2
Then:     change a bound in STDP_DIGITS, the setup below, or the pruner, and run it again.
"""

from optuna_snn import SCBOSampler, SpikeActivityPruner
from optuna_snn.objectives import STDPObjective, STDPSetup, split_digits
from optuna_snn.objectives.spaces import STDP_DIGITS

name = "stdp_digits"
direction = "maximize"
metric_name = "accuracy"

objective = STDPObjective(
    split_digits(n_train=600, n_validation=400, n_test=1000),
    space=STDP_DIGITS,
    setup=STDPSetup(n_steps=100, intensity_hz=128, batch_size=16, n_assign=None),
    # The default, made for longer trainings, would triple the work: none of the networks that are
    # silent after 32 digits was seen to wake up.
    warmup=32,
    seed=0,
)


def sampler() -> SCBOSampler:
    """Each worker's own sampler; all of them read the same study."""
    return SCBOSampler()


def pruner() -> SpikeActivityPruner:
    """Stops silent networks, by the limits that the objective gives its monitor."""
    return SpikeActivityPruner()
