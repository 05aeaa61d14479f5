"""Processing times of the Eyeriss chip, layer by layer, against two models.

    python experiments/naas/eyeriss_silicon.py --out experiments/results/eyeriss_silicon.json

- Bandwidth: max(MACs / active PEs, bytes of the global buffer / 14.85 a cycle) with the measured bytes and PEs. It says
  that the chip's time is that of its MACs or of its global buffer, whichever is longer; the one constant is fitted.
- Mapping (AlexNet): the chip's row-stationary mappings, costed by the model alone: PEs, cycles and bytes of the global
  buffer follow from the loops. Neither zeros nor compression, nor the filling of the array between passes are modelled.

The data are `eyeriss_silicon.toml`; where they come from is said there.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

from coevo.cost_models.accelerator import Assumptions, Evaluation, Layer, Mapping, evaluate_mapping
from coevo.hardware.accelerators import Accelerator, load_accelerator

MEASURED = Path(__file__).with_name("eyeriss_silicon.toml")
ASSUMPTIONS = Assumptions(halo_merge=True, sliding_window=True)
"""Input rows go to a diagonal of PEs at once, and a PE's window slides along its row."""


def read_measured() -> dict[str, Any]:
    return tomllib.loads(MEASURED.read_text())


def layer_of(row: dict[str, Any], batch: int) -> Layer:
    groups = row.get("groups", 1)
    sizes = {
        "N": batch, "G": groups, "K": row["out"] // groups, "C": row["in"] // groups, "Y": row["size"],
        "X": row["size"], "R": row["kernel"], "S": row["kernel"],
    }  # fmt: skip
    stride = row.get("stride", 1)
    return Layer(row["name"], sizes, (stride, stride))


def bandwidth_ms(row: dict[str, Any], batch: int, clock_mhz: float, bytes_per_cycle: float) -> float:
    """max(MACs / active PEs, measured GLB bytes / bytes_per_cycle) in ms."""
    cycles = max(layer_of(row, batch).macs / row["pes"], row["glb_mb"] * 1e6 / bytes_per_cycle)
    return cycles / (clock_mhz * 1e3)


def chip() -> Accelerator:
    """Eyeriss, with output rows along both axes: conv2's sets of 5 x 27 PEs are folded into two halves."""
    accelerator = load_accelerator("eyeriss")
    dram, glb, pe = accelerator.memories
    rows, columns = glb.network.axes
    rows = replace(rows, dimensions=(*rows.dimensions, "Y"))
    return replace(accelerator, memories=(dram, replace(glb, network=replace(glb.network, axes=(rows, columns))), pe))


def row_stationary(row: dict[str, Any], batch: int) -> Mapping:
    """The published mapping parameters as loops. A set is R rows of e PEs; where they are wider than the array, half
    of the strip lies below the other; a strip of 7 has the t sets for further output channels beside it."""
    layer, given = layer_of(row, batch), row["mapping"]
    size, strip = layer.sizes, given["e"]
    if strip > 14:
        along = ((("R", size["R"]), ("Y", 2)), (("Y", -(-strip // 2)),))
        strip = 2 * -(-strip // 2)
    elif size["R"] * given["r"] * given["t"] > 12:
        along = ((("R", size["R"]), ("C", given["r"])), (("Y", strip), ("K", given["t"])))
    else:
        along = ((("R", size["R"]), ("C", given["r"]), ("K", given["t"])), (("Y", strip),))
    outer = (
        ("G", size["G"]),
        ("N", -(-batch // given["n"])),
        ("Y", -(-size["Y"] // strip)),
        ("K", -(-size["K"] // given["m"])),
        ("C", -(-size["C"] // (given["q"] * given["r"]))),
    )
    buffer = (("K", -(-given["m"] // (given["p"] * given["t"]))), ("N", given["n"]), ("X", size["X"]))
    inside = (("S", size["S"]), ("C", given["q"]), ("K", given["p"]))
    return Mapping((outer, buffer, inside), along)


def glb_mb(evaluation: Evaluation) -> float:
    """Bytes read and written at the global buffer, in 10^6; words have 16 bits."""
    accesses = [evaluation.accesses["GLB", tensor] for tensor in ("inputs", "outputs")]
    return sum(access.reads + access.writes for access in accesses) * 2 / 1e6


def modelled(row: dict[str, Any], batch: int) -> Evaluation:
    return evaluate_mapping(layer_of(row, batch), chip(), row_stationary(row, batch), ASSUMPTIONS)


def compare() -> list[dict[str, Any]]:
    """One row a layer: measured and modelled ms, and GLB MB where the mapping is known."""
    measured = read_measured()
    clock, rate = measured["clock_mhz"], measured["glb_bytes_per_cycle"]
    found = []
    for network in ("alexnet", "vgg16"):
        batch = measured[network]["batch"]
        for row in measured[network]["layers"]:
            entry = {
                "network": network,
                "layer": row["name"],
                "measured_ms": row["ms"],
                "bandwidth_ms": bandwidth_ms(row, batch, clock, rate),
                "measured_glb_mb": row["glb_mb"],
            }
            if "mapping" in row:
                evaluation = modelled(row, batch)
                entry |= {"mapping_ms": evaluation.latency_ms, "mapping_glb_mb": glb_mb(evaluation)}
            found.append(entry)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the rows as JSON")
    arguments = parser.parse_args()
    rows = compare()
    print(f"{'':16}{'measured':>10}{'bandwidth model':>20}{'mapping model':>20}{'GLB measured':>15}{'modelled':>17}")
    for row in rows:
        line = f"{row['network']:8}{row['layer']:8}{row['measured_ms']:>7.1f} ms"
        line += f"{row['bandwidth_ms']:>10.1f} ms {row['bandwidth_ms'] / row['measured_ms'] - 1:>+6.1%}"
        if "mapping_ms" in row:
            line += f"{row['mapping_ms']:>10.1f} ms {row['mapping_ms'] / row['measured_ms'] - 1:>+6.1%}"
            line += f"{row['measured_glb_mb']:>12.1f} MB{row['mapping_glb_mb']:>7.1f} MB"
            line += f" {row['mapping_glb_mb'] / row['measured_glb_mb'] - 1:>+6.1%}"
        print(line)
    if arguments.out:
        arguments.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
