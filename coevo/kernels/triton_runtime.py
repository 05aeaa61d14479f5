"""How Triton runs kernels in this process."""

from __future__ import annotations

from coevo.errors import missing_extra

try:
    import triton
except ImportError as error:
    raise missing_extra("triton", "cuda") from error

INTERPRETED = bool(triton.knobs.runtime.interpret)
"""Whether the kernels run in Triton's interpreter on the CPU (TRITON_INTERPRET=1 when this module is imported)."""
