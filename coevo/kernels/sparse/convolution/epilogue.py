"""What is done to a convolution's sums before they are stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Tensor = Any


@dataclass(frozen=True, eq=False)
class Epilogue:
    """relu((sums + shortcut @ shortcut_weight) * scale + shift + residual), each part where it is given.

    Attributes:
        scale, shift: [C_out], a folded batch norm.
        residual: [rows, C_out], of the output's rows and dtype.
        relu: whether negative results become 0.
        shortcut: [rows, C_s] at the output's rows, with shortcut_weight [C_s, C_out]: a 1x1x1 convolution of another
            tensor that is added to this one. Its own batch norm must be folded into its weights and into `shift`.
        copied, copied_to: [rows, C_b] each, both or neither: the rows in use of one are written to the other on the
            way, the second half of a concatenation whose first half is the result.
    """

    scale: Tensor | None = None
    shift: Tensor | None = None
    residual: Tensor | None = None
    relu: bool = False
    shortcut: Tensor | None = None
    shortcut_weight: Tensor | None = None
    copied: Tensor | None = None
    copied_to: Tensor | None = None

    def tensors(self) -> dict[str, Tensor]:
        """The tensors that are given, by name."""
        names = ("scale", "shift", "residual", "shortcut", "shortcut_weight", "copied", "copied_to")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}


NOTHING = Epilogue()
"""The sums as they are."""
