"""A compiled engine for the network of Diehl & Cook (2015), spike for spike as in BindsNET.

    input -> excitatory     all to all, plastic (pair-based STDP), normalised
    excitatory -> inhibitory    one to one
    inhibitory -> excitatory    to all others

Glossary
    t           step of 1 ms, from 0; what a neuron fires reaches others in step t + 1
    s_x         1 where a neuron of layer x fires in step t, else 0; x: in, e, i
    w           weights, (n_inputs, n), of input i to excitatory neuron j
    v, theta    membrane potential; what an excitatory threshold has adapted by, mV
    a_x         trace of the spikes of a neuron, 1 just after one
    d_y         exp(-1 ms / time constant of y), rounded to float32

The order of operations. A sample begins with all potentials at rest, all traces 0, no spike under
way. Then, in each step:

    1. Drive      g_j = sum_i s_in,i(t-1) w_ij - strength_inh * sum_{k != j} s_i,k(t-1)
    2. Inputs     a_in = 1 where s_in, else d_trace a_in
    3. Excitatory theta = d_theta theta, while learning
                  v = d_e (v - rest) + rest, + g_j unless the neuron is refractory
    4. Spikes     Each neuron with v >= e_thresh + theta is reset, refractory for the next e_refrac
                  steps, and adapts while learning: theta = theta + theta_plus.
                  One of them, drawn with equal chances, fires.
                  a_e = 1 where s_e, else d_trace a_e
    5. Inhibitory v = d_i (v - rest) + rest, + strength_exc s_e(t-1) unless refractory;
                  each neuron with v >= i_thresh fires, is reset, and refractory for i_refrac steps
    6. Learning   w = clip(w - nu_pre s_in a_e + nu_post a_in s_e, 0, 1), with the traces and
                  spikes of this step; both sums run over the samples of a batch
    7. After the last step the columns of w are scaled to the sum norm.

Learning off leaves out the changes of theta and steps 6 and 7.

What the paper does not say, or says otherwise, follows the behaviour of BindsNET 0.3.4, found by
experiment on the running library (`benchmarks/stdp_equality.py` repeats it):
    a. Neurons at their threshold that lose the draw of 4 are reset and adapt, but leave no spike
       and no trace.
    b. A neuron that is refractory still leaks. It ignores its drive, which is lost.
    c. theta falls before the thresholds are compared, and grows after that. The factor of a long
       time constant is coarse in float32: 10^7 ms gives 1 - 1.19e-7 a step and not 1 - 1e-7.
    d. Both sides of a pair that fires in one step count, with traces of 1: w changes by
       nu_post - nu_pre.
    e. Weights are clipped in each step of learning, after both changes. Those that normalisation
       leaves above 1 are clipped in the first step of the next sample that is learnt, and samples
       that are only responded to meet them as they are.
    f. The changes of weights do not depend on the weights. Those of the paper do, and fade as a
       weight nears its largest value.

One departure: BindsNET normalises after samples with learning off, too, where the sums are norm
already. This changes weights by rounding only, and is left out.

Random numbers are the engine's own, xoshiro256++, from a seed for each sample. Nothing depends on
how samples are shared out over calls, threads or processes.

[Diehl & Cook 2015]       doi 10.3389/fncom.2015.00099
[Hazan et al. 2018]       BindsNET, doi 10.3389/fninf.2018.00089
[Blackman & Vigna 2021]   xoshiro256++, doi 10.1145/3460772
[Steele et al. 2014]      splitmix64, doi 10.1145/2660193.2660195
"""

from optuna_snn.stdp_engine.engine import (
    draw_spikes,
    learn,
    list_spikes,
    record,
    respond,
    scaled,
)
from optuna_snn.stdp_engine.records import (
    LearnedState,
    Presented,
    Recorded,
    Rules,
    SpikeLists,
    make_rules,
)

__all__ = [
    "LearnedState",
    "Presented",
    "Recorded",
    "Rules",
    "SpikeLists",
    "draw_spikes",
    "learn",
    "list_spikes",
    "make_rules",
    "record",
    "respond",
    "scaled",
]
