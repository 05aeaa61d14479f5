"""Who may import whom, and which third-party packages a module may bring when it is merely imported.

import-linter follows the chains of imports (`make lint`). This file sees to it that every top-level part of coevo
stands under a contract there, that the contracts say what `ALLOWED` says, and that heavy packages stay late imports.
"""

from __future__ import annotations

import ast
import configparser
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "coevo"

# What a part may import of the others; every part may import `errors`.
EVERYTHING = None
ALLOWED: dict[str, set[str] | None] = {
    "cli": EVERYTHING,
    "config": EVERYTHING,
    "spaces": {"supernets", "cost_models", "hardware", "kernels", "search"},
    "supernets": {"kernels"},
    "cost_models": {"hardware", "kernels"},
    "report": {"search"},
    "testing": {"search"},
    "search": set(),
    "hardware": set(),
    "kernels": set(),
    "errors": set(),
}

# Third-party packages that a file may import at module level: the longest prefix that fits decides. Whatever is not
# named here is imported inside the function that needs it.
QISKIT = {"qiskit", "qiskit_aer", "qiskit_ibm_runtime"}
MODULE_LEVEL: dict[str, set[str]] = {
    "coevo": set(),
    "coevo/cli": {"typer", "rich", "pydantic"},
    "coevo/config": {"pydantic", "tomli_w"},
    "coevo/report": {"numpy"},
    "coevo/testing": {"numpy"},
    "coevo/search": {"numpy"},
    "coevo/search/runners": {"numpy", "cloudpickle"},
    "coevo/search/tune": {"numpy", "ray"},  # a subclass of Tune's; nothing of coevo imports it
    "coevo/spaces": {"numpy", "scipy", "torch", "pydantic", *QISKIT},
    "coevo/spaces/quantumnas/estimator": {"numpy", "sklearn"},  # a subclass of scikit-learn's; imported when asked for
    "coevo/supernets": {"numpy", "torch"},
    "coevo/cost_models": {"numpy", "scipy", "torch"},
    "coevo/hardware": {"numpy", "torch"},
    "coevo/hardware/quantum": {"numpy", *QISKIT},
    "coevo/kernels": {"numpy", "torch", "triton"},
    "coevo/kernels/jit": {"numba"},
    "coevo/kernels/calls": {"numba", "llvmlite"},
}
HEAVY = ("torch", "ray", "qiskit", "triton", "pydantic", "typer", "plotly", "cloudpickle", "scipy", "matplotlib")


def parts() -> set[str]:
    """The top-level modules and packages of coevo that hold any source."""
    modules = {path.stem for path in PACKAGE.glob("*.py") if path.stem not in {"__init__", "__main__"}}
    packages = {path.name for path in PACKAGE.iterdir() if path.is_dir() and any(path.rglob("*.py"))}
    return modules | packages


def contracts() -> dict[str, set[str]]:
    """Part -> the parts that its contract in .importlinter forbids."""
    reader = configparser.ConfigParser()
    reader.read(ROOT / ".importlinter", encoding="utf-8")
    found = {}
    for section in reader.sections():
        if section.startswith("importlinter:contract:"):
            part = section.rpartition(":")[2]
            assert reader[section]["type"] == "forbidden", section
            assert reader[section]["source_modules"].split() == [f"coevo.{part}"], section
            assert set(reader[section]) == {"name", "type", "source_modules", "forbidden_modules"}, section
            found[part] = {name.removeprefix("coevo.") for name in reader[section]["forbidden_modules"].split()}
    return found


def test_every_part_is_known() -> None:
    unknown = parts() - set(ALLOWED)
    assert not unknown, f"say in {__file__} (ALLOWED) and in .importlinter what {sorted(unknown)} may import"


@pytest.mark.parametrize("part", sorted(part for part, allowed in ALLOWED.items() if allowed is not EVERYTHING))
def test_every_part_stands_under_its_contract(part: str) -> None:
    allowed = ALLOWED[part]
    assert allowed is not None
    if part not in parts():
        assert part not in contracts(), f"{part} is gone: remove its contract from .importlinter"
        return
    forbidden = parts() - allowed - {part, "errors"}
    wanted = "\n    ".join(f"coevo.{name}" for name in sorted(forbidden))
    assert contracts().get(part) == forbidden, (
        f".importlinter must hold:\n[importlinter:contract:{part}]\nforbidden_modules =\n    {wanted}"
    )


def module_level_imports(source: str) -> Iterator[tuple[int, str]]:
    """(line, top-level package) of every absolute import that runs when the module is imported.

    Bodies of functions are skipped and so is `if TYPE_CHECKING:`; `try:` and other `if`s count.
    """
    pending: list[ast.AST] = [ast.parse(source)]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module.partition(".")[0]
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            pending += node.orelse
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            pending += ast.iter_child_nodes(node)


def allowed_at_module_level(path: PurePosixPath) -> set[str]:
    """Third-party packages that this file, relative to the repository, may import at module level."""
    stem = path.with_suffix("")
    best = max((home for home in MODULE_LEVEL if stem.is_relative_to(home)), key=len)
    return MODULE_LEVEL[best]


def test_third_party_packages_are_imported_where_they_may_be() -> None:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        relative = PurePosixPath(path.relative_to(ROOT).as_posix())
        fine = allowed_at_module_level(relative) | set(sys.stdlib_module_names) | {"coevo"}
        found += [
            f"{relative}:{line}: imports {package} at module level; import it inside the function that needs it"
            for line, package in module_level_imports(path.read_text(encoding="utf-8"))
            if package not in fine
        ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ("import torch.nn as nn", ["torch"]),
        ("from qiskit.circuit import Gate", ["qiskit"]),
        ("try:\n    import ray\nexcept ImportError:\n    ray = None", ["ray"]),
        ("class A:\n    import plotly", ["plotly"]),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch", ["typing"]),
        ("def f():\n    import torch", []),
        ("from . import torch", []),
    ],
)
def test_module_level_imports_are_seen(source: str, seen: list[str]) -> None:
    assert [package for _, package in module_level_imports(source)] == seen


@pytest.mark.parametrize(
    ("path", "package", "fine"),
    [
        ("coevo/search/study.py", "cloudpickle", False),
        ("coevo/search/runners/local.py", "cloudpickle", True),
        ("coevo/search/space.py", "numpy", True),
        ("coevo/errors.py", "numpy", False),
        ("coevo/config.py", "pydantic", True),
        ("coevo/cli/__init__.py", "torch", False),
    ],
)
def test_the_longest_prefix_decides(path: str, package: str, fine: bool) -> None:
    assert (package in allowed_at_module_level(PurePosixPath(path))) is fine


@pytest.mark.parametrize("module", ["coevo", "coevo.search"])
def test_importing_stays_light(module: str) -> None:
    assert (ROOT / module.replace(".", "/") / "__init__.py").is_file()
    code = f"import sys, {module}; print(*[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    heavy = set(done.stdout.split())
    assert not heavy, f"import {module} brings {sorted(heavy)}"


def test_every_file_beside_the_sources_is_installed() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    patterns = setuptools["package-data"]["*"]
    others = [path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix not in {".py", ".part"}]
    others = [path for path in others if path.parent.name != "__pycache__"]  # bytecode, and numba's machine code
    left_out = [str(path.relative_to(ROOT)) for path in others if not any(map(path.match, patterns))]
    assert not left_out, f"add to package-data in pyproject.toml: {left_out}"


def test_pinned_versions_lie_within_the_supported_ranges() -> None:
    requirements = pytest.importorskip("packaging.requirements")
    pins = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            pin = requirements.Requirement(line)
            assert str(pin.specifier).startswith("=="), f"constraints.txt pins exactly: {line}"
            pins[_plain(pin.name)] = str(pin.specifier).removeprefix("==")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for text in sum(project["optional-dependencies"].values(), project["dependencies"]):
        wanted = requirements.Requirement(text)
        bounds = {specifier.operator for specifier in wanted.specifier}
        assert bounds == {">=", "<"}, f"{text}: state the lowest version and the first unsupported one"
        assert _plain(wanted.name) in pins, f"{wanted.name} is missing from constraints.txt"
        assert wanted.specifier.contains(pins[_plain(wanted.name)]), f"{text} leaves out {pins[_plain(wanted.name)]}"


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")
