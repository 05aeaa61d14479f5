"""MinkUNet in float64 by the definition: the oracle of `gpu_sparse.py`, in plain torch, sharing no code with coevo.

Rows are joined by a search among sorted keys, products are one matrix product an offset. Output rows are those of the
input. The same pass calibrates batch norm: with `calibrate` the statistics in the state become the scan's own.
"""

from __future__ import annotations

from typing import Any

import torch
from _sparse_case import INPUTS, STRIDES, Layer, minkunet_layers

_BITS = 17


class Maps:
    """Voxels of every stride and what each layer kind joins, for coords int [N, 4] (batch, x, y, z), none negative."""

    def __init__(self, coords: torch.Tensor) -> None:
        level = coords.to(torch.int64)
        self.keys, self.rows, self.parents, self.parts = {}, {}, {}, {}
        for stride in STRIDES:
            keys, back = torch.unique(_keys(level), return_inverse=True)
            self.keys[stride] = keys
            if stride == 1:
                self.rows_of_input = back  # key order, as every level below
                if len(keys) != len(coords):
                    raise ValueError(f"{len(coords) - len(keys)} voxels stand twice")
            else:
                self.parents[stride // 2] = back
            level = _unkeyed(keys)
            self.rows[stride] = level
            bits = level[:, 1:] & 1
            self.parts[stride] = bits[:, 0] * 4 + bits[:, 1] * 2 + bits[:, 2]  # x outermost, z fastest
            level = torch.cat([level[:, :1], level[:, 1:] >> 1], dim=1)
        self._neighbours: dict[int, list[tuple[torch.Tensor, torch.Tensor]]] = {}

    def neighbours(self, stride: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """(output rows, input rows) of each of the 27 offsets, z outermost and x fastest."""
        if stride not in self._neighbours:
            keys, rows = self.keys[stride], self.rows[stride]
            found = []
            for z in (-1, 0, 1):
                for y in (-1, 0, 1):
                    for x in (-1, 0, 1):
                        wanted = _keys(rows + torch.tensor([0, x, y, z], device=rows.device))
                        at = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
                        out = (keys[at] == wanted).nonzero()[:, 0]
                        found.append((out, at[out]))
            self._neighbours[stride] = found
        return self._neighbours[stride]


def minkunet(
    state: dict[str, torch.Tensor],
    ratio: float,
    coords: torch.Tensor,
    feats: torch.Tensor,
    calibrate: bool = False,
    inputs: int = INPUTS,
) -> torch.Tensor:
    """Logits float64 [N, classes] in the rows of `coords`; `state` is changed where it is calibrated."""
    maps = Maps(coords)
    layers = {layer.name: layer for layer in minkunet_layers(ratio, inputs)}

    def conv(name: str, x: torch.Tensor) -> torch.Tensor:
        out = convolve(maps, layers[name], x, state[f"{name}.kernel"])
        return _normalised(state, layers[name].norm, out, calibrate)

    def residual(name: str, x: torch.Tensor) -> torch.Tensor:
        inner = conv(f"{name}.net.3", torch.relu(conv(f"{name}.net.0", x)))
        short = conv(f"{name}.downsample.0", x) if f"{name}.downsample.0" in layers else x
        return torch.relu(inner + short)

    x = torch.empty_like(feats, dtype=torch.float64)
    x[maps.rows_of_input] = feats.to(torch.float64)
    x = torch.relu(conv("stem.3", torch.relu(conv("stem.0", x))))
    skips = [x]
    for index in range(1, 5):
        x = torch.relu(conv(f"stage{index}.0.net.0", x))
        x = residual(f"stage{index}.2", residual(f"stage{index}.1", x))
        skips.append(x)
    for index in range(1, 5):
        x = torch.relu(conv(f"up{index}.0.net.0", x))
        x = torch.cat([x, skips[4 - index]], dim=1)
        x = residual(f"up{index}.1.1", residual(f"up{index}.1.0", x))
    weight, bias = (state[f"classifier.0.{name}"].to(x) for name in ("weight", "bias"))
    return (x @ weight.T + bias)[maps.rows_of_input]


def convolve(maps: Maps, layer: Layer, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """One convolution in float64."""
    weight = weight.to(x)
    if layer.kernel == 1:
        return x @ weight
    fine, coarse = layer.stride, 2 * layer.stride
    rows = len(maps.keys[coarse if layer.kind == "down" else fine])
    out = x.new_zeros((rows, layer.outputs))
    if layer.kernel == 3:
        for offset, (to, come) in enumerate(maps.neighbours(fine)):
            out[to] += x[come] @ weight[offset]
        return out
    for offset in range(8):
        rows_fine = (maps.parts[fine] == offset).nonzero()[:, 0]
        rows_coarse = maps.parents[fine][rows_fine]  # no parent twice within one offset
        to, come = (rows_coarse, rows_fine) if layer.kind == "down" else (rows_fine, rows_coarse)
        out[to] += x[come] @ weight[offset]
    return out


def distance(found: torch.Tensor, wanted: torch.Tensor) -> dict[str, float]:
    """How far logits are from the reference's: relative Frobenius norm, largest error over the largest value, classes.

    Where anything is not finite the distances are infinite.
    """
    if found.shape != wanted.shape:
        raise ValueError(f"expected logits {tuple(wanted.shape)}, got {tuple(found.shape)}")
    error = found.to(wanted) - wanted
    finite = bool(torch.isfinite(found).all())
    measured: dict[str, Any] = {
        "relative": float(error.norm() / wanted.norm()) if finite else float("inf"),
        "largest": float(error.abs().max() / wanted.abs().max()) if finite else float("inf"),
        "same_class": float((found.argmax(dim=1) == wanted.argmax(dim=1)).float().mean()),
    }
    return measured


def _normalised(state: dict[str, torch.Tensor], name: str, x: torch.Tensor, calibrate: bool) -> torch.Tensor:
    if calibrate:
        state[f"{name}.running_mean"] = x.mean(dim=0).float().cpu()
        state[f"{name}.running_var"] = x.var(dim=0, unbiased=False).float().cpu()
    scale = state[f"{name}.weight"].to(x) / (state[f"{name}.running_var"].to(x) + 1e-5).sqrt()
    return (x - state[f"{name}.running_mean"].to(x)) * scale + state[f"{name}.bias"].to(x)


def _keys(coords: torch.Tensor) -> torch.Tensor:
    shifted = coords[:, 1:] + 1
    return ((coords[:, 0] << _BITS | shifted[:, 0]) << _BITS | shifted[:, 1]) << _BITS | shifted[:, 2]


def _unkeyed(keys: torch.Tensor) -> torch.Tensor:
    mask = (1 << _BITS) - 1
    where = [keys >> 3 * _BITS, (keys >> 2 * _BITS & mask) - 1, (keys >> _BITS & mask) - 1, (keys & mask) - 1]
    return torch.stack(where, dim=1)
