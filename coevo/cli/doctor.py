"""`coevo doctor`: what coevo finds on this machine, and what it would need."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import sqlite3
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from coevo import __version__
from coevo.cli.output import emit, facts
from coevo.kernels.sparse.tuning import store as store_of_plans
from coevo.search import environment, store

EXPOSURE = (
    "coevo opens no port and serves nothing: workers are processes of this machine, talked to over pipes. "
    "Run folders and reports are files; a report loads nothing from a network."
)


def examine(as_json: bool) -> None:
    found = findings()
    emit(as_json, found, lambda console: _print(console, found))


def findings() -> dict[str, Any]:
    """Everything as plain JSON."""
    here = Path.cwd()
    kind = store.file_system(here)
    network = kind.startswith(store._NETWORK_FILE_SYSTEMS)
    cpu = environment.cpu_fingerprint()
    return {
        "coevo": __version__,
        "installed": _installed_version(),
        "commit": environment.commit(),
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "cpu": {"model": cpu["model"], "cores": cpu["cores"], "usable_cores": usable_cores()},
        "memory_gb": cpu["memory_gb"],
        "gpus": gpus(),
        "extras": extras(),
        "sparse_tuning": store_of_plans.state(),
        "sqlite": sqlite3.sqlite_version,
        "folder": {"path": str(here), "file_system": kind, "network": network, "writable": os.access(here, os.W_OK)},
        "exposure": EXPOSURE,
    }


def usable_cores() -> int:
    """The cores that this process may use: affinity and a container's quota count."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if quota != "max":
            cores = min(cores, max(1, int(int(quota) / int(period))))
    except (OSError, ValueError):
        pass
    return cores


def gpus() -> dict[str, Any]:
    """What torch sees; the reason where it sees nothing."""
    if importlib.util.find_spec("torch") is None:
        return {"devices": [], "note": "torch is not installed, so GPUs were not looked for"}
    try:
        import torch

        devices = []
        for index in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(index)
            devices.append({"name": properties.name, "memory_gb": round(properties.total_memory / 2**30, 1)})
        built = torch.version.cuda or getattr(torch.version, "hip", None)
        note = "" if devices else f"torch {torch.__version__} {'finds no GPU' if built else 'is built for CPUs alone'}"
        return {"devices": devices, "note": note}
    except Exception as error:  # a broken driver is a finding, not a crash
        return {"devices": [], "note": f"torch cannot be asked: {type(error).__name__}: {error}"}


def extras() -> dict[str, dict[str, Any]]:
    """Each extra with its packages' versions (None: missing) and the line that installs it."""
    try:
        required = importlib.metadata.requires("coevo") or []
    except importlib.metadata.PackageNotFoundError:
        return {}
    found: dict[str, dict[str, Any]] = {}
    for line in required:
        marker = re.search(r"extra\s*==\s*['\"]([^'\"]+)['\"]", line)
        name = re.match(r"[A-Za-z0-9._-]+", line)
        if marker is None or name is None:
            continue
        entry = found.setdefault(marker[1], {"packages": {}, "install": f"pip install 'coevo[{marker[1]}]'"})
        try:
            entry["packages"][name[0]] = importlib.metadata.version(name[0])
        except importlib.metadata.PackageNotFoundError:
            entry["packages"][name[0]] = None
    return found


def _installed_version() -> str | None:
    try:
        return importlib.metadata.version("coevo")
    except importlib.metadata.PackageNotFoundError:
        return None


def _print(console: Console, found: dict[str, Any]) -> None:
    cpu, folder = found["cpu"], found["folder"]
    memory = f"{found['memory_gb']:g} GB" if found["memory_gb"] else "unknown"
    devices = [f"{gpu['name']}, {gpu['memory_gb']:g} GB" for gpu in found["gpus"]["devices"]]
    usable = f", {cpu['usable_cores']} usable" if cpu["usable_cores"] != cpu["cores"] else ""
    at = f" at {found['commit']}" if found["commit"] else ""
    installed = "" if found["installed"] else " (a source tree that is not installed: pip install -e .)"
    console.print(
        facts(
            ("coevo", f"{found['coevo']}{at}{installed}"),
            ("python", f"{found['python']}  {found['executable']}"),
            ("platform", found["platform"]),
            ("cpu", f"{cpu['model']}, {cpu['cores']} cores{usable}"),
            ("memory", memory),
            ("gpu", "\n".join(devices) or found["gpus"]["note"]),
            ("sparse plans", _tuning_text(found["sparse_tuning"])),
            ("sqlite", found["sqlite"]),
            ("folder", _folder_text(folder)),
            ("exposure", found["exposure"]),
        )
    )
    for name, extra in found["extras"].items():
        missing = [package for package, version in extra["packages"].items() if version is None]
        have = ", ".join(f"{package} {version}" for package, version in extra["packages"].items() if version)
        console.print()
        if missing:
            console.print(Text.assemble((f"extra {name}: ", "bold"), (f"missing {', '.join(missing)}", "yellow")))
            console.print(Text(f"  {extra['install']}"))
        else:
            console.print(Text.assemble((f"extra {name}: ", "bold"), ("complete", "green")))
        if have:
            console.print(Text(f"  {have}", style="dim"))


def _tuning_text(state: list[dict[str, Any]]) -> str:
    """A line a network whose sparse convolutions were tuned, or that none was."""
    lines = []
    for entry in state:
        if "error" in entry:
            lines.append(entry["error"])
            continue
        for network in entry["networks"]:
            part = "" if network["complete"] else ", not all candidates in the time given"
            lines.append(
                f"{network['name']} on {entry['device'].get('device')}: {network['default_ms']:g} ms by default, "
                f"{network['tuned_ms']:g} ms tuned ({network['tuned_on']}{part})"
            )
    return "\n".join(lines) or "never tuned: the default plans are taken (coevo.kernels.sparse.tuning)"


def _folder_text(folder: dict[str, Any]) -> Text:
    text = Text(f"{folder['path']} on {folder['file_system'] or 'an unknown file system'}")
    if folder["network"]:
        text.append(
            "\na network file system: runs here use SQLite's slower DELETE journal; a local disk is quicker and safer",
            "yellow",
        )
    if not folder["writable"]:
        text.append("\nit cannot be written: runs need --out", "yellow")
    return text
