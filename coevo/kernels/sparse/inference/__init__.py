"""Networks made static for inference: folded, fused, captured in CUDA graphs."""

from coevo.kernels.sparse.inference.compile import CapacityWarning, StaticNetwork, compile_for_inference

__all__ = ["CapacityWarning", "StaticNetwork", "compile_for_inference"]
