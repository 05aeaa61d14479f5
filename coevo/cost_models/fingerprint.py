"""What measured times depend on."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any


def fingerprint(device: str) -> dict[str, Any]:
    """Of "cuda", "cuda:1", .. or "cpu": the model, what it computes with, and the versions of torch and Triton."""
    import torch

    of = torch.device(device)
    if of.type == "cuda":
        from coevo.kernels.sparse.tuning.tuned import fingerprint as of_gpu

        return of_gpu(of)
    return {"device": _cpu_model(), "threads": torch.get_num_threads(), "torch": torch.__version__}


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
