"""Nothing at rest is pickle and no text becomes code: every source file is read for the forms that break that."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[1]
TREES = ("coevo", "experiments", "tests")

PICKLERS = {"pickle", "_pickle", "cPickle", "marshal", "shelve", "dill", "joblib", "jsonpickle", "pathos"}
IN_MEMORY = {"cloudpickle"}  # for functions of a notebook on their way to a worker, and nowhere else
IN_MEMORY_HOME = PurePosixPath("coevo/search/runners")
TEXT_TO_CODE = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_CALLS = {
    "os.system": "starts a shell",
    "os.popen": "starts a shell",
    "subprocess.getoutput": "starts a shell",
    "subprocess.getstatusoutput": "starts a shell",
    "yaml.load": "may run code; use yaml.safe_load",
    "yaml.load_all": "may run code; use yaml.safe_load_all",
    "yaml.full_load": "may run code; use yaml.safe_load",
    "yaml.full_load_all": "may run code; use yaml.safe_load_all",
    "yaml.unsafe_load": "runs code; use yaml.safe_load",
    "yaml.unsafe_load_all": "runs code; use yaml.safe_load_all",
    "yaml.Loader": "may run code; use yaml.SafeLoader",
    "yaml.CLoader": "may run code; use yaml.SafeLoader",
    "yaml.FullLoader": "may run code; use yaml.SafeLoader",
    "yaml.UnsafeLoader": "runs code; use yaml.SafeLoader",
    "torch.load": "unpickles; use safetensors",
    "torch.save": "pickles; use safetensors",
    "torch.jit.load": "runs stored code; use safetensors",
    "pandas.read_pickle": "unpickles",
    "builtins.eval": "turns text into code",
    "builtins.exec": "turns text into code",
    "builtins.compile": "turns text into code",
}
FORBIDDEN_KEYWORDS = {"shell": "starts a shell", "allow_pickle": "reads or writes pickles"}
DYNAMIC_IMPORTS = {"importlib.import_module", "__import__"}


def violations(source: str, path: str) -> list[str]:
    """What the source does that this tree forbids, one line a finding; `path` is relative to the repository."""
    tree = ast.parse(source, path)
    names = _imported_names(tree)
    return [f"{path}:{line}: {finding}" for line, finding in sorted(_findings(tree, names, PurePosixPath(path)))]


def _findings(tree: ast.AST, names: dict[str, str], path: PurePosixPath) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _import_finding(alias.name, node.lineno, path)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from _import_finding(node.module, node.lineno, path)
            for alias in node.names:
                yield from _import_finding(f"{node.module}.{alias.name}", node.lineno, path, whole=True)
        elif isinstance(node, ast.Name) and node.id in TEXT_TO_CODE and isinstance(node.ctx, ast.Load):
            yield node.lineno, f"{node.id}: turns text into code"
        elif isinstance(node, ast.Attribute):
            dotted = _dotted(node, names)
            if dotted in FORBIDDEN_CALLS:
                yield node.lineno, f"{dotted}: {FORBIDDEN_CALLS[dotted]}"
        elif isinstance(node, ast.Call):
            yield from _call_findings(node, names, path)


def _import_finding(module: str, line: int, path: PurePosixPath, whole: bool = False) -> Iterator[tuple[int, str]]:
    top = module.partition(".")[0]
    if whole:
        if module in FORBIDDEN_CALLS:
            yield line, f"{module}: {FORBIDDEN_CALLS[module]}"
    elif top in PICKLERS:
        yield line, f"import of {top}: nothing at rest is pickle"
    elif top in IN_MEMORY and IN_MEMORY_HOME not in path.parents:
        yield line, f"import of {top} outside {IN_MEMORY_HOME}/: functions travel in memory through the runners alone"


def _call_findings(node: ast.Call, names: dict[str, str], path: PurePosixPath) -> Iterator[tuple[int, str]]:
    called = _dotted(node.func, names)
    for keyword in node.keywords:
        off = isinstance(keyword.value, ast.Constant) and not keyword.value.value
        if keyword.arg in FORBIDDEN_KEYWORDS and not off:
            yield node.lineno, f"{keyword.arg}=: {FORBIDDEN_KEYWORDS[keyword.arg]}"
    if called == "numpy.load" and len(node.args) >= 3 and not _is_false(node.args[2]):
        yield node.lineno, "numpy.load with a third argument: allow_pickle reads pickles"
    if called in DYNAMIC_IMPORTS and node.args and isinstance(node.args[0], ast.Constant):
        yield from _import_finding(str(node.args[0].value), node.lineno, path)
    if isinstance(node.func, ast.Attribute) and node.func.attr in {"to_pickle", "read_pickle"}:
        yield node.lineno, f"{node.func.attr}: nothing at rest is pickle"


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def _imported_names(tree: ast.AST) -> dict[str, str]:
    """Local name -> the full dotted name it was imported as."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                names[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def _dotted(node: ast.expr, names: dict[str, str]) -> str:
    """`np.load` -> "numpy.load" by the file's imports; "" for what is not a plain dotted name."""
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        base = _dotted(node.value, names)
        return f"{base}.{node.attr}" if base else ""
    return ""


def test_the_tree_holds_to_it() -> None:
    found = [
        finding
        for tree in TREES
        for path in sorted((ROOT / tree).rglob("*.py"))
        for finding in violations(path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix())
    ]
    assert not found, "\n".join(["unsafe forms (SECURITY.md says why they stay out):", *found])


def test_sources_are_found() -> None:
    assert (ROOT / "coevo" / "errors.py").is_file()
    assert all(any((ROOT / tree).rglob("*.py")) for tree in TREES)


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import pickle as p",
        "import os, pickle",
        "from pickle import loads",
        "from pickle import *",
        "def f():\n    import marshal",
        "import shelve",
        "import dill",
        "from joblib import dump",
        "import joblib.numpy_pickle",
        "import _pickle",
        "import cloudpickle",
        "from cloudpickle import dumps",
        "import importlib\nimportlib.import_module('pickle')",
        "from importlib import import_module\nimport_module('dill')",
        "__import__('os')",
        "eval('1')",
        "exec(text)",
        "compile(text, 'f', 'exec')",
        "run = eval",
        "list(map(exec, texts))",
        "import builtins\nbuiltins.exec(text)",
        "import builtins as b\nb.eval(text)",
        "import yaml\nyaml.load(text)",
        "import yaml\nyaml.load(text, Loader=yaml.SafeLoader)",
        "import yaml\nyaml.unsafe_load(text)",
        "import yaml as y\ny.full_load(text)",
        "from yaml import load",
        "from yaml import load as parse\nparse(text)",
        "import torch\ntorch.load(path)",
        "import torch\ntorch.load(path, weights_only=True)",
        "import torch as t\nt.save(model, path)",
        "from torch import load",
        "import torch\ntorch.jit.load(path)",
        "reader = __import__",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "import numpy as np\nnp.load(path, allow_pickle=flag)",
        "import numpy as np\nnp.load(path, None, True)",
        "import numpy\nnumpy.save(path, a, allow_pickle=True)",
        "from numpy import load\nload(path, None, True)",
        "import subprocess\nsubprocess.run('ls', shell=True)",
        "from subprocess import Popen\nPopen('ls', shell=1)",
        "import subprocess\nsubprocess.run('ls', shell=flag)",
        "import subprocess\nsubprocess.getoutput('ls')",
        "import os\nos.system('ls')",
        "import os as o\no.popen('ls')",
        "from os import system",
        "import os\nrun = os.system",
        "frame.to_pickle(path)",
        "import pandas as pd\npd.read_pickle(path)",
    ],
)
def test_the_detector_sees(source: str) -> None:
    assert violations(source, "coevo/spaces/some.py"), source


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("import cloudpickle", "coevo/search/runners/local.py"),
        ("import json, sqlite3, tomllib", "coevo/search/store.py"),
        ("import re\nre.compile('a')", "coevo/search/pick.py"),
        ("import torch\ntorch.compile(f)\nmodel.eval()", "coevo/supernets/train.py"),
        ("import yaml\nyaml.safe_load(text)", "coevo/config.py"),
        ("import numpy as np\nnp.load(path)\nnp.load(path, allow_pickle=False)", "coevo/search/store.py"),
        ("import subprocess\nsubprocess.run(['ls'], shell=False, check=True)", "coevo/hardware/gpu.py"),
        ("from .pickle import pick", "coevo/search/pick.py"),
        ("'pickle, eval and os.system are only words here'", "coevo/search/pick.py"),
        ("import importlib\nimportlib.import_module(name)", "coevo/search/registry.py"),
    ],
)
def test_the_detector_lets_pass(source: str, path: str) -> None:
    assert violations(source, path) == []


def test_the_detector_names_file_line_and_reason() -> None:
    assert violations("x = 1\nimport shelve\n", "coevo/a.py") == [
        "coevo/a.py:2: import of shelve: nothing at rest is pickle"
    ]
