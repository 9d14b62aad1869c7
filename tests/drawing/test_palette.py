"""Colours stay apart for colour-blind readers, and words can be read, on both papers.

Colour blindness is simulated by the matrices of Machado, Oliveira & Fernandes (IEEE TVCG 15(6),
2009) at severity 1, on linear RGB; colours are compared in CIE Lab.
"""

from __future__ import annotations

from itertools import combinations
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from optuna_snn.drawing.palette import LAYER_COLOURS, PAPERS, Colour, Theme, hex_of

VISIONS = {
    "full": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
"""From linear sRGB (D65)."""
MISTAKEN = 10.0
"""Distance in Lab below which two marks may be taken for the same colour."""
themes = pytest.mark.parametrize("theme", ["light", "dark"])


def linear(code: str) -> NDArray[np.float64]:
    rgb = np.array([int(code[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    t = XYZ @ rgb / XYZ.sum(axis=1)
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2."""
    low, high = sorted(float(XYZ[1] @ linear(code)) for code in (one, other))
    return (high + 0.05) / (low + 0.05)


@themes
@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize(
    "colours",
    [
        LAYER_COLOURS,
        ("blue", "orange", "purple", "green", "grey"),  # of the overview
    ],
    ids=["layers", "kinds of trials"],
)
def test_colours_stay_apart(theme: Theme, vision: str, colours: tuple[Colour, ...]) -> None:
    seen = {
        colour: lab(np.clip(VISIONS[vision] @ linear(hex_of(colour, theme)), 0, 1))
        for colour in colours
    }
    apart = {(a, b): np.linalg.norm(seen[a] - seen[b]) for a, b in combinations(colours, 2)}
    assert min(apart.values()) > MISTAKEN, min(apart, key=lambda pair: apart[pair])


@themes
@pytest.mark.parametrize("colour", ["ink", "grey"])
def test_words_have_the_contrast_that_wcag_asks_for(
    theme: Theme, colour: Literal["ink", "grey"]
) -> None:
    assert contrast(hex_of(colour, theme), PAPERS[theme].background) >= 4.5


def test_the_measure_of_contrast_is_that_of_wcag() -> None:
    """Black on white is 21 : 1 by definition."""
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21.0)
