"""Timeloop's binary: a stand-in on the path that checks what it is given and prints the published statistics of
timeloop-accelergy-exercises' Eyeriss-like example (commit 67b75f24), as far as they are read."""

import importlib.util
import stat
import sys
from pathlib import Path

import pytest

from coevo.cost_models.accelerator import Mapping
from coevo.cost_models.accelerator.interchange import timeloop_model
from coevo.errors import EvaluatorError, InputError

_spec = importlib.util.spec_from_file_location("golden", Path(__file__).parents[1] / "test_golden.py")
golden = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(golden)

PUBLISHED = {  # (target, tensor): instances, reads, fills, updates, of one instance
    ("PE_outputs", "Outputs"): (126, 57_344, 0, 86_016),
    ("PE_weights", "Weights"): (126, 86_016, 1_536, 0),
    ("PE_inputs", "Inputs"): (126, 86_016, 10_752, 0),
    ("GLB", "Inputs"): (1, 1_354_752, 157_296, 0),
    ("GLB", "Outputs"): (1, 0, 0, 401_408),
    ("DRAM", "Weights"): (1, 13_824, 0, 0),
    ("DRAM", "Inputs"): (1, 157_296, 0, 0),
    ("DRAM", "Outputs"): (1, 0, 0, 401_408),
}


def statistics(counts=PUBLISHED, cycles=86_016, energy_uj=59.28):
    lines = ["Buffer and Arithmetic Levels", "----------------------------", "Level 0", "-------", "=== mac ===", "",
             "    STATS", "    -----", "    Utilized instances      : 126", ""]  # fmt: skip
    for level, target in enumerate(dict.fromkeys(name for name, _ in counts), 1):
        lines += [f"Level {level}", "-------", f"=== {target} ===", "", "    SPECS", "    -----", "",
                  "    STATS", "    -----", "    Cycles               : 86016"]  # fmt: skip
        for (name, space), (instances, reads, fills, updates) in counts.items():
            if name == target:
                lines += [
                    f"    {space}:",
                    f"        Utilized instances (max)                 : {instances}",
                    f"        Scalar reads (per-instance)              : {reads}",
                    f"        Scalar fills (per-instance)              : {fills}",
                    f"        Scalar updates (per-instance)            : {updates}",
                    "        Energy (total)                           : 4190338.25 pJ",
                ]
        lines.append("")
    lines += ["Networks", "--------", "", "Operational Intensity Stats", "---------------------------", "",
              "=== DRAM ===", "    Total scalar accesses                   : 572528", "", "Summary Stats",
              "-------------", "GFLOPs (@1GHz): 247.33", "Utilization: 75.00%", f"Cycles: {cycles}",
              f"Energy: {energy_uj:.2f} uJ", "EDP(J*cycle): 5.10e+00", ""]  # fmt: skip
    return "\n".join(lines)


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Puts a timeloop-model on the path that prints `text` once it has found the golden mapping in its input files."""

    def make(text, code=0):
        (tmp_path / "stats").write_text(text)
        program = tmp_path / timeloop_model.BINARY
        program.write_text(
            f"#!{sys.executable}\n"
            "import pathlib, shutil, sys\n"
            "given = '\\n'.join(pathlib.Path(name).read_text() for name in sys.argv[1:])\n"
            "for part in ('target: inter_rows_spatial', 'C3 P1 Q1 R1 S3', 'PE_outputs[1..168]', 'Pstride: 2'):\n"
            "    assert part in given, part\n"
            f"shutil.copy({str(tmp_path / 'stats')!r}, {timeloop_model.STATS!r})\n"
            f"print('something went wrong', file=sys.stderr); sys.exit({code})\n"
        )
        program.chmod(program.stat().st_mode | stat.S_IEXEC)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        return str(program)

    return make


def golden_comparison(**rest):
    return timeloop_model.compare(golden.LAYER, golden.EYERISS_LIKE, golden.MAPPING, **rest)


def test_the_published_mapping_agrees(stand_in):
    assert timeloop_model.find_binary() is None
    program = stand_in(statistics())
    assert timeloop_model.find_binary() == program
    comparison = golden_comparison()
    assert comparison.differences == ()
    assert comparison.answer.words["GLB", "inputs"] == (1_354_752, 157_296)
    assert comparison.answer.words["PE_outputs", "outputs"] == (57_344 * 126, 86_016 * 126)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (statistics({**PUBLISHED, ("GLB", "Inputs"): (1, 1_354_753, 157_296, 0)}), "GLB: inputs: 1354752 reads here"),
        (statistics({**PUBLISHED, ("PE_weights", "Weights"): (125, 86_016, 1_536, 0)}), "PE_weights: weights"),
        (statistics(cycles=86_017), "86017 in Timeloop"),
        (statistics(energy_uj=59.90), "59.9000 uJ in Timeloop"),
    ],
)
def test_a_difference_is_said(stand_in, text, part):
    stand_in(text)
    differences = golden_comparison().differences
    assert any(part in line for line in differences), differences


def test_a_binary_that_fails_or_is_not_there(stand_in):
    with pytest.raises(EvaluatorError, match="not on the path"):
        golden_comparison()
    stand_in(statistics(), code=3)
    with pytest.raises(EvaluatorError, match=r"ended with 3.*something went wrong"):
        golden_comparison()
    with pytest.raises(EvaluatorError, match="did not run"):
        golden_comparison(binary="/nowhere/timeloop-model")


def test_statistics_that_lack_a_figure(stand_in):
    stand_in(statistics().replace("Scalar fills", "Scalar spills"))
    with pytest.raises(EvaluatorError, match=r"Scalar fills"):
        golden_comparison()
    stand_in("nothing")
    with pytest.raises(EvaluatorError, match="not the statistics"):
        golden_comparison()


def test_a_padded_mapping_is_refused_before_anything_runs(stand_in):
    stand_in(statistics())
    padded = Mapping((*golden.MAPPING.temporal[:2], (("R", 3), ("K", 9))), golden.MAPPING.spatial)
    with pytest.raises(InputError, match="pad the layer"):
        timeloop_model.compare(golden.LAYER, golden.EYERISS_LIKE, padded)
