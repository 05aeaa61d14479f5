"""The README's code does what the README says: the space of one's own is installed and searched, the script runs."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(python|toml|sh)\n(.*?)```", README, flags=re.S)


def block(language, start):
    found = [text for kind, text in BLOCKS if kind == language and text.startswith(start)]
    assert len(found) == 1, f"the README has {len(found)} {language} blocks that start with {start!r}"
    return found[0]


@pytest.fixture
def wings(tmp_path):
    """The README's package as an installed distribution: the module, and its entry point's metadata beside it."""
    (tmp_path / "wings.py").write_text(block("python", "# wings.py"))
    (tmp_path / "wings.toml").write_text(block("toml", "# wings.toml"))
    info = tmp_path / "wings-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: wings\nVersion: 1.0\n")
    entry = block("toml", "# in your pyproject.toml").splitlines()[2]
    (info / "entry_points.txt").write_text("[coevo.spaces]\n" + entry.replace('"', "") + "\n")
    return tmp_path


def coevo(folder, *words):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), *sys.path]), "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, "-m", "coevo", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_space_of_ones_own_fits_in_forty_lines():
    lines = [line for line in block("python", "# wings.py").splitlines()[1:] if line.strip()]
    assert len(lines) <= 40


def test_the_space_of_ones_own_is_found_and_searched(wings):
    shown = coevo(wings, "show", "wings")
    assert shown.returncode == 0 and "wings/v1" in shown.stdout, shown.stderr
    done = coevo(wings, "run", "wings.toml", "--out", "run", "--json")
    assert done.returncode == 0, done.stderr
    json.loads(done.stdout)
    front = json.loads(coevo(wings, "front", "run", "--json").stdout)
    rows = front["front"] if isinstance(front, dict) else front
    assert len(rows) >= 3 and all(row["metrics"]["mass_kg"] <= 14 for row in rows)
    assert "wings" in (wings / "run" / "report" / "index.html").read_text(encoding="utf-8")


def test_the_commands_for_looking_do_what_they_say(wings):
    """Every line of the README's block, as it stands; an extra that is not here is named by the command."""
    lines = [line.partition("#")[0].split() for line in block("sh", "coevo run wings.toml").splitlines()]
    for program, *words in lines:
        assert program == "coevo"
        done = coevo(wings, *words)
        if done.returncode == 2 and "is not installed" in done.stderr:
            continue
        assert done.returncode == 0, (words, done.stderr)
        if words[0] == "compare":
            assert "run with one seed" in done.stdout
        for word in words:
            if word.endswith((".csv", ".parquet", ".log")):
                assert (wings / word).stat().st_size > 1000


def test_the_space_of_ones_own_keeps_the_contract(wings):
    script = (
        "import wings; from coevo.testing import check_evaluator, check_space; "
        "p = wings.problem(); check_space(p.space); check_evaluator(p.stages[0].evaluator, p.space); print('kept')"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(wings), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "kept\n", done.stderr


def test_the_script_runs_as_it_stands(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(block("python", "from coevo import Space, Study"))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, str(path)], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 5 and "latency_ms" in done.stdout


def test_every_file_the_readme_names_exists():
    root = Path(__file__).parents[1]
    named = set(re.findall(r"`((?:tests|experiments|docs)/[\w./-]+)`", README)) | set(
        re.findall(r"\]\(([\w./-]+)\)", README)
    )
    assert named and all((root / name).exists() for name in named), [n for n in named if not (root / n).exists()]
