"""The eight loops of a layer and the three tensors that they index: the words that accelerators and layers share.

Every layer is one loop nest, `out[n,g,k,y,x] += in[n,g,c,y*sy+r*dy,x*sx+s*dx] * w[g,k,c,r,s]`.
Depthwise convolution has G channels and K = C = 1; a matrix product has Y = X = R = S = 1; batched products
(attention) put heads, and whatever else both operands have, into G.
"""

from __future__ import annotations

DIMENSIONS = ("N", "G", "K", "C", "Y", "X", "R", "S")
"""Batch, groups, output and input channels of a group, output rows and columns, kernel rows and columns."""

TENSORS = ("weights", "inputs", "outputs")

RELEVANT = {
    "weights": frozenset("GKCRS"),
    "inputs": frozenset("NGCYXRS"),
    "outputs": frozenset("NGKYX"),
}
"""The loops that index each tensor. All others reuse it."""
