"""Teach a spiking network to read digits, without telling it what they are.

Each trial builds a network of Diehl & Cook (2015): pixels fire at the rate of their brightness,
excitatory neurons compete for them through inhibition, and STDP lets each neuron keep what made it
win. After 3000 handwritten digits somebody looks at the labels, once, to see which neuron came to
stand for which digit; 1000 digits that the network has never met decide how good it is. Guessing
gives 10 %. Every digit is on show for a quarter of a second of the network's life, which the
compiled engine computes in a ten-thousandth of a second (BindsNET, `engine="bindsnet"`, would take
a twentieth: give it fewer digits).

Twelve hyperparameters are tuned (`STDP_DIGITS`), and most combinations are hopeless: thresholds
out of reach, inputs too faint, inhibitory neurons that nothing wakes. Nearly nine of ten random
networks fall silent. `SpikeActivityPruner` notices after a few dozen digits, and `SCBOSampler`
learns from every silence where not to look again.

Run it:   optuna-snn run studies/stdp_digits.py --n-trials 240 --workers 2
Look:     optuna-snn report studies/stdp_digits.py --out runs/report
Then:     change a bound in STDP_DIGITS, the setup below, or the pruner, and run it again.
"""

from optuna_snn import SCBOSampler, SpikeActivityPruner
from optuna_snn.objectives import STDPObjective, STDPSetup, split_digits
from optuna_snn.objectives.spaces import STDP_DIGITS

name = "stdp_digits"
direction = "maximize"
metric_name = "accuracy"

objective = STDPObjective(
    split_digits(n_train=3000, n_validation=1000, n_test=1000),
    space=STDP_DIGITS,
    setup=STDPSetup(n_steps=250, intensity_hz=128, batch_size=1, n_assign=None),
    # The default is made for networks that wake up late. None of these that are silent after 32
    # digits was seen to.
    warmup=32,
    seed=0,
)


def sampler() -> SCBOSampler:
    """Each worker's own sampler; all of them read the same study."""
    return SCBOSampler()


def pruner() -> SpikeActivityPruner:
    """Stops silent networks, by the limits that the objective gives its monitor."""
    return SpikeActivityPruner()
