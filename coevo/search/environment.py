"""Where a study runs: packages, commit, and the device whose numbers it records."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

_PACKAGES = (
    "coevo",
    "numpy",
    "scipy",
    "torch",
    "triton",
    "safetensors",
    "qiskit",
    "qiskit-aer",
    "qiskit-ibm-runtime",
    "mlxtend",
    "cmaes",
    "cloudpickle",
)


@cache
def packages() -> dict[str, str]:
    """Versions of the installed packages that can change a study's numbers."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@cache
def cpu_fingerprint() -> dict[str, Any]:
    """What decides the speed and the last digit of CPU numbers. No host name, no user."""
    return {
        "kind": "cpu",
        "model": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gb": _memory_gb(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def short(fingerprint: dict[str, Any]) -> str:
    """8 hexadecimal digits that stand for a fingerprint in every trial."""
    return hashlib.sha256(json.dumps(fingerprint, sort_keys=True).encode()).hexdigest()[:8]


def commit() -> str | None:
    """The commit of the tree that coevo was imported from, with "+" where it was changed; None outside a checkout."""
    here = Path(__file__).resolve().parents[2]
    if not (here / ".git").exists():
        return None
    try:
        head = _git(here, "rev-parse", "HEAD")
        return head[:12] + ("+" if _git(here, "status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def describe() -> dict[str, Any]:
    """What env.json holds."""
    device = cpu_fingerprint()
    return {"packages": packages(), "commit": commit(), "devices": {short(device): device}}


def _git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 0)
    except (ValueError, OSError, AttributeError):
        return None
