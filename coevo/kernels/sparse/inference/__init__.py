"""Networks made static for inference: folded, fused, captured in one CUDA graph."""

from coevo.kernels.sparse.inference.compile import CapacityWarning, StaticNetwork, compile_for_inference

__all__ = ["CapacityWarning", "StaticNetwork", "compile_for_inference"]
