"""ATen operators that no array of multipliers runs: they move, choose, compare, scale or sum elements one by one."""

from __future__ import annotations

import operator
from typing import Any


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


MOVING = _words("""
alias arange as_strided broadcast_tensors broadcast_to cat channel_shuffle chunk clone constant_pad_nd contiguous copy
detach detach_ diagonal embedding empty empty_like expand expand_as eye feature_dropout fill flatten flip full
full_like gather index index_put index_select lift_fresh_copy masked_fill masked_select meshgrid movedim narrow
new_full new_ones new_zeros one_hot ones ones_like pad permute pixel_shuffle pixel_unshuffle reflection_pad1d
reflection_pad2d repeat repeat_interleave replication_pad1d replication_pad2d reshape roll rot90 scalar_tensor scatter
select slice slice_scatter split split_with_sizes squeeze stack swapaxes t take_along_dim tensor_split tile to
transpose tril triu type_as unbind unflatten unfold unsqueeze view view_as where zeros zeros_like
""")

POOLING_AND_REDUCING = _words("""
adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool1d adaptive_max_pool2d all amax amin aminmax any argmax
argmin argsort avg_pool1d avg_pool2d count_nonzero cummax cummin cumprod cumsum log_softmax logcumsumexp logsumexp max
max_pool1d max_pool2d max_pool2d_with_indices mean median min mode nonzero norm prod softmax softmin sort std std_mean
sum topk unique var var_mean
""")

NORMALISING = _words("""
batch_norm group_norm instance_norm layer_norm linalg_vector_norm local_response_norm native_batch_norm
native_group_norm native_layer_norm normalize rms_norm
""")

INTERPOLATING = _words("""
grid_sampler grid_sampler_2d upsample_bicubic2d upsample_bilinear2d upsample_linear1d upsample_nearest1d
upsample_nearest2d
""")

ELEMENTWISE = _words("""
alpha_dropout bernoulli celu dropout glu hardtanh native_dropout prelu rand rand_like randn randn_like rrelu
""")
"""Those that torch does not itself mark as acting point by point."""

CHECKING = _words("""
_assert_async _assert_scalar _assert_tensor_metadata _set_grad_enabled is_nonzero item size sym_constrain_range
sym_constrain_range_for_size sym_numel sym_size sym_stride
""")

FREE = frozenset((*MOVING, *POOLING_AND_REDUCING, *NORMALISING, *INTERPOLATING, *ELEMENTWISE, *CHECKING))

PASS_ON = frozenset(
    _words("""
_to_copy alias clone contiguous detach expand expand_as flatten lift_fresh_copy permute reshape squeeze t to transpose
unflatten unsqueeze view
""")
)


def is_free(target: Any, kind: str) -> bool:
    """Whether an operator of an exported graph has no multiply-accumulates: by its name, by torch's own mark for what
    acts point by point, or because it is Python's (indexing a tuple, arithmetic of sizes)."""
    import torch

    if getattr(target, "__module__", "") in (operator.__name__, "_operator", "math", "builtins"):
        return True
    if kind.removeprefix("_") in FREE or kind.rstrip("_") in FREE or kind in PASS_ON or kind in FREE:
        return True
    return torch.Tag.pointwise in getattr(target, "tags", ())


def passes_on(kind: str) -> bool:
    """Whether the output of an operator is the stored data that went in, in another shape."""
    return kind in PASS_ON
