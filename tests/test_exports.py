"""The public names: `__all__` is what imports, and `import coevo` stays light."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import coevo

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "coevo"
HEAVY = ("torch", "ray", "qiskit", "triton", "pydantic", "typer", "rich", "plotly", "numpy", "sqlite3", "cloudpickle")
PACKAGES = sorted(
    ".".join(path.parent.relative_to(ROOT).parts) for path in PACKAGE.rglob("__init__.py") if path.stat().st_size
)


def declared(path: Path) -> set[str]:
    """The names that an `__init__.py` offers: what it imports from coevo, under TYPE_CHECKING too, or defines."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    body += [inner for node in body if isinstance(node, ast.If) for inner in node.body]
    names: set[str] = set()
    for node in body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("coevo"):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
    return {name for name in names if not name.startswith("_")}


@pytest.mark.parametrize("name", PACKAGES)
def test_all_of_every_package_is_what_it_declares_and_imports(name: str) -> None:
    try:
        module = importlib.import_module(name)
    except ImportError as error:  # a package over an extra that is not installed here
        pytest.skip(f"{name} needs {error.name}")
    meant = declared(PACKAGE.parent.joinpath(*name.split("."), "__init__.py"))
    listed = getattr(module, "__all__", None)
    if listed is not None:
        assert len(listed) == len(set(listed)), "a name stands in __all__ twice"
        constants = {each for each in listed if each.isupper() or each.startswith("__")}
        assert set(listed) - constants == meant - constants
    for each in listed if listed is not None else meant:
        try:
            getattr(module, each)
        except ImportError as error:
            if error.name and not error.name.startswith("coevo"):
                continue  # a late import of an extra that is not installed here
            raise


def test_the_lazy_names_are_the_listed_ones() -> None:
    assert {*coevo._HOMES, "__version__"} == set(coevo.__all__)
    for name, home in coevo._HOMES.items():
        assert getattr(coevo, name) is getattr(importlib.import_module(home), name)
    assert set(coevo.__all__) <= set(dir(coevo))


def test_a_name_that_is_not_offered() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Studdy'"):
        coevo.Studdy  # type: ignore[attr-defined]  # noqa: B018


def test_the_version_is_that_of_the_package() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == coevo.__version__


def test_import_coevo_brings_no_other_package() -> None:
    code = "import sys; before = set(sys.modules); import coevo; print(*(set(sys.modules) - before))"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in result.stdout.split()}
    assert not loaded & set(HEAVY)
    assert {name for name in result.stdout.split() if name.startswith("coevo")} == {"coevo"}


def test_the_first_example_needs_no_heavy_package() -> None:
    code = "import sys; from coevo import Space, Study; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in result.stdout.split()}
    assert not loaded & {"torch", "ray", "qiskit", "triton", "pydantic", "typer", "rich", "plotly"}
