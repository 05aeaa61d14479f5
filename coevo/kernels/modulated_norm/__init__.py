"""Layer norm with modulation, gate with residual, and both in one pass; an RMS norm."""

from coevo.kernels.modulated_norm.norm import gated_residual, gated_residual_norm, modulated_norm, rms_norm

__all__ = ["gated_residual", "gated_residual_norm", "modulated_norm", "rms_norm"]
