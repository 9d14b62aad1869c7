"""Random numbers, and the input spikes that are drawn by them.

[Blackman & Vigna 2021]   Scrambled linear pseudorandom number generators: xoshiro256++,
                          doi 10.1145/3460772
[Steele et al. 2014]      Fast splittable pseudorandom number generators: splitmix64,
                          doi 10.1145/2660193.2660195
"""

from __future__ import annotations

import numpy as np

from optuna_snn.stdp_engine.kernels.jit import kernel, part
from optuna_snn.stdp_engine.records import Float32s, Int32s, Int64s, Seeds

__all__ = ["draw_spikes", "drawn", "seeded"]

DRAW_BITS, DRAW_MASK, TWO_TO_32 = np.uint64(32), np.uint64(2**32 - 1), 2.0**32
PER_WORD = 2
"""Draws of DRAW_BITS from the 64 bits of one random number."""


@part
def rotated(x: np.uint64, n: int) -> np.uint64:
    """The bits of x, moved up by n and around."""
    return (x << np.uint64(n)) | (x >> np.uint64(64 - n))


@part
def mixed(x: np.uint64) -> np.uint64:
    """Splitmix64 [Steele et al. 2014]: seeds for the generator from successive numbers."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@part
def drawn(
    a: np.uint64, b: np.uint64, c: np.uint64, d: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64, np.uint64]:
    """64 random bits and the next state of xoshiro256++ [Blackman & Vigna 2021]."""
    word = rotated(a + d, 23) + a
    shifted = b << np.uint64(17)
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    return word, a, b, c ^ shifted, rotated(d, 45)


@part
def seeded(seed: np.uint64) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """The first state of a generator."""
    a = mixed(seed)
    b = mixed(a)
    c = mixed(b)
    return a, b, c, mixed(c)


@kernel
def draw_spikes(
    probabilities: Float32s, n_steps: int, seeds: Seeds, first: Int64s, inputs: Int32s
) -> int:
    """Fill the `SpikeLists` (first, inputs); the number of spikes.

    probabilities: (n_samples, n_inputs) of a spike in one step
    inputs:        room for all inputs with a probability above 0 to fire in all steps
    """
    n_samples, n_inputs = probabilities.shape
    lit = np.empty(n_inputs, np.int32)
    limit = np.empty(n_inputs, np.uint64)
    n_spikes = 0
    for sample in range(n_samples):
        n_lit = 0
        for i in range(n_inputs):
            if probabilities[sample, i] > 0:
                lit[n_lit] = i
                limit[n_lit] = np.uint64(np.float64(probabilities[sample, i]) * TWO_TO_32)
                n_lit += 1
        a, b, c, d = seeded(seeds[sample])
        word, n_left = np.uint64(0), 0
        for t in range(n_steps):
            first[sample, t] = n_spikes
            for m in range(n_lit):
                if n_left == 0:
                    word, a, b, c, d = drawn(a, b, c, d)
                    n_left = PER_WORD
                inputs[n_spikes] = lit[m]  # written over by the next, unless it counts
                n_spikes += (word & DRAW_MASK) < limit[m]
                word >>= DRAW_BITS
                n_left -= 1
        first[sample, n_steps] = n_spikes
    return n_spikes
