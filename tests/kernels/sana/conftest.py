"""Triton's interpreter where there is no CUDA device."""

from __future__ import annotations

import importlib.util
import os

if importlib.util.find_spec("torch"):
    import torch

    if not torch.cuda.is_available():
        os.environ["TRITON_INTERPRET"] = "1"  # read where kernels are defined: before any test imports them
