"""Which alpha and beta? Train all networks to their ends, then ask what stopping would have done.

The paper leaves open how to choose alpha (spikes below which a sample is silent) and beta (the
share of silent samples that is tolerated). This study is that of `stdp_digits.py` with
rule="record": no network is stopped, however silent, and each one's validation accuracy is known.
The networks are random: a sampler that minds the constraints of one alpha and beta would choose
networks that suit them. From its spikes `optuna-snn replay` tells, for any alpha and beta, which
networks would have been stopped, how much training that would have saved, and which of the good
ones would have been lost.

Run it:   optuna-snn run studies/choosing_alpha_beta.py --n-trials 1000 --workers 2
Then:     optuna-snn replay studies/choosing_alpha_beta.py --rule sequential --figure replay.png \
              --alpha 1 --alpha 3 --alpha 10 --beta 0.02 --beta 0.1 --beta 0.3 --beta 0.6

Silent networks take as long here as good ones do.
"""

from optuna.samplers import RandomSampler

from optuna_snn.objectives import STDPObjective, STDPSetup, split_digits
from optuna_snn.objectives.spaces import STDP_DIGITS

name = "choosing_alpha_beta"
direction = "maximize"
metric_name = "accuracy"

objective = STDPObjective(
    split_digits(n_train=3000, n_validation=1000, n_test=1000),
    space=STDP_DIGITS,
    setup=STDPSetup(n_steps=250, intensity_hz=128, batch_size=1, n_assign=None),
    warmup=32,  # as in the study without rule="record"
    seed=0,
    rule="record",
)


def sampler() -> RandomSampler:
    """Each worker's own, with a seed from the system."""
    return RandomSampler()
