"""Colours of all figures: Okabe and Ito's, which stay apart for colour-blind readers.

Okabe and Ito, "Color Universal Design" (2008), https://jfly.uni-koeln.de/color/. What a colour
means is always said by a marker, a line or a place as well, so that figures read in black and
white. On dark paper their blue is too dim; their sky blue takes its place there, and their yellow
that of the sky blue.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

__all__ = ["LAYER_COLOURS", "PAPERS", "Colour", "Paper", "Theme", "checked_theme", "hex_of"]

Theme = Literal["light", "dark"]
Colour = Literal["blue", "orange", "green", "red", "purple", "sky", "grey", "ink"]

_HEX: dict[Colour, tuple[str, str]] = {
    "blue": ("#0072B2", "#56B4E9"),
    "orange": ("#E69F00", "#E69F00"),
    "green": ("#009E73", "#19B88A"),
    "red": ("#D55E00", "#E8721A"),
    "purple": ("#CC79A7", "#CC79A7"),
    "sky": ("#56B4E9", "#F0E442"),
    "grey": ("#757575", "#BDBDBD"),
    "ink": ("#1A1A1A", "#EDEDED"),
}
"""Colour -> on light paper, on dark paper. Green and red are Okabe and Ito's, lighter on dark."""

LAYER_COLOURS: tuple[Colour, ...] = ("blue", "orange", "green", "purple", "red", "sky")
"""Of the layers of a network, in their order; the seventh has that of the first again."""


@dataclass(frozen=True)
class Paper:
    """What a figure is drawn on."""

    background: str
    grid: str
    axis: str


PAPERS: dict[Theme, Paper] = {
    "light": Paper(background="#FFFFFF", grid="#E9E9E9", axis="#8C8C8C"),
    "dark": Paper(background="#16181D", grid="#2B2E35", axis="#7A7F8A"),
}


def hex_of(colour: Colour, theme: Theme) -> str:
    """The code of a colour, as "#RRGGBB"."""
    return _HEX[colour][theme == "dark"]


def checked_theme(theme: str) -> Theme:
    """Return the theme; ValueError, naming the themes, if it is none of them."""
    for known in get_args(Theme):
        if theme == known:
            return known  # type: ignore[no-any-return]  # a member of Theme
    raise ValueError(f'theme must be "light" or "dark", got {theme!r}.')
