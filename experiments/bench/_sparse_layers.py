"""coevo's convolutions of MinkUNet as its compiled network launches them: fused epilogues and shortcuts, maps given.

    python experiments/bench/_sparse_layers.py SCAN.bin [--width 1.0] [--out FILE]

`measure` captures all of them, one after another, in one CUDA graph, and each alone; beside every layer stand what it
executes over what is useful (its tiles' masks against its pairs) and its share of the roofline: pairs * C_in * C_out
products at 989 TFLOP/s, or each input, output, weight and neighbour once at 4.8 TB/s, whichever takes longer.
"""

from __future__ import annotations

import argparse
import json
import statistics
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

PEAK_FLOP_S, PEAK_BYTES_S = 989e12, 4.8e12
VOXEL_M = 0.05


def voxels_of(path: Path) -> torch.Tensor:
    """int32 [N, 4] of a scan in KITTI's format, at 0.05 m."""
    points = np.fromfile(path, np.float32).reshape(-1, 4)
    found = np.unique(np.floor(points[:, :3] / VOXEL_M).astype(np.int32), axis=0)
    return torch.from_numpy(np.concatenate([np.zeros((len(found), 1), np.int32), found], axis=1))


def graph_us(call: Any, calls: int = 10, repeats: int = 15) -> float:
    """Median microseconds of a call among `calls` in one CUDA graph."""
    for _ in range(3):
        call()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(calls):
            call()
    taken = []
    for _ in range(repeats + 2):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        graph.replay()
        end.record()
        torch.cuda.synchronize()
        taken.append(begin.elapsed_time(end) / calls * 1e3)
    return statistics.median(taken[2:])


def record(unet: Any, made: Any, features: torch.Tensor) -> list[dict[str, Any]]:
    """The calls of the network's convolutions, in their order, with their arguments."""
    from coevo.kernels.sparse.inference.folding import FoldedConv

    names = {id(conv): name for name, conv in unet.convolutions().items()}
    calls: list[dict[str, Any]] = []
    original = FoldedConv.__call__

    def noted(self: Any, x: Any, kernel_map: Any, **given: Any) -> Any:
        out = original(self, x, kernel_map, **given)
        if id(self) in names:  # the classifier is no sparse convolution
            kept = {**given, "out": out}
            calls.append({"name": names[id(self)], "conv": self, "x": x, "map": kernel_map, "given": kept})
        return out

    FoldedConv.__call__ = noted  # type: ignore[method-assign,assignment]
    try:
        with torch.no_grad():
            count = torch.tensor([len(features)], dtype=torch.int32, device=features.device)
            unet(features, made, count)
    finally:
        FoldedConv.__call__ = original  # type: ignore[method-assign]
    return calls


def repeats_exactly(run_all: Any, calls: list[dict[str, Any]], times: int = 10) -> bool:
    """Whether replays of one graph over poisoned outputs give the same bits as launches without it, every time."""
    outs = [call["given"]["out"] for call in calls]
    run_all()
    torch.cuda.synchronize()
    expected = [each.clone() for each in outs]
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run_all()
    same = True
    for _ in range(times):
        for each in outs:
            each.fill_(float("nan"))
        graph.replay()
        torch.cuda.synchronize()
        same = same and all(torch.equal(a, b) for a, b in zip(outs, expected, strict=True))
    return same


def roofline_us(call: dict[str, Any], pairs: int) -> float:
    weight, by = call["conv"].weight, call["conv"].shortcut_weight
    kernel_map = call["map"]
    rows_in, rows_out = int(kernel_map.count_in), int(kernel_map.count_out)
    volume, num_inputs, num_outputs = weight.shape
    flop = 2 * pairs * num_inputs * num_outputs
    moved = 2 * (rows_in * num_inputs + rows_out * num_outputs + volume * num_inputs * num_outputs) + 4 * pairs
    if by is not None:
        flop += 2 * rows_out * by.numel()
        moved += 2 * (rows_out * by.shape[0] + by.numel())
    if call["given"].get("residual") is not None:
        moved += 2 * rows_out * num_outputs
    return 1e6 * max(flop / PEAK_FLOP_S, moved / PEAK_BYTES_S)


def executed_over_useful(call: dict[str, Any], rows: int, pairs: int) -> float:
    """Products that the tiles of the layer's plan carry out, over those of its pairs."""
    order = next(made for key, made in call["map"].made.items() if key[0] == "sorted")
    masks = torch.nn.functional.pad(order.masks, (0, -order.masks.shape[1] % rows)).view(order.splits, -1, rows)
    bits = (masks[..., None] >> torch.arange(31, device=masks.device)) & 1
    return int(bits.any(2).sum()) * rows / max(pairs, 1)


def measure(coords: torch.Tensor, width: float = 1.0, splits: tuple[int, ...] | None = None) -> dict[str, Any]:
    """Times of the convolutions of MinkUNet in float16 on the voxels `coords`, int32 [N, 4] on a CUDA device."""
    from coevo.kernels.sparse.convolution.defaults import default_plan
    from coevo.kernels.sparse.hierarchy import build_levels
    from coevo.kernels.sparse.inference.static_unet import StaticUNet
    from coevo.kernels.sparse.modules.minkunet import MinkUNet
    from coevo.kernels.sparse.shape import DEFAULT_SPLITS

    torch.manual_seed(0)
    net = MinkUNet(19, width=width).to(coords.device).eval()
    unet = StaticUNet(net, torch.float16)
    made = build_levels(coords, 5, splits=splits or DEFAULT_SPLITS)
    features = torch.randn((len(coords), net.in_channels), device=coords.device).half()
    calls = record(unet, made, features)

    def run_all() -> None:
        for call in calls:
            call["conv"](call["x"], call["map"], **call["given"])

    with torch.no_grad():
        result: dict[str, Any] = {"voxels": len(coords), "width": width, "all_us": graph_us(run_all, calls=1)}
        result["repeats_bit_by_bit"] = repeats_exactly(run_all, calls)
        layers = []
        for call in calls:
            conv, kernel_map = call["conv"], call["map"]
            plan = conv.plan or default_plan(call["x"], conv.weight, kernel_map, None)
            pairs = int((kernel_map.neighbours[:, : int(kernel_map.count_out)] >= 0).sum())
            floor = roofline_us(call, pairs)
            alone = graph_us(lambda c=call: c["conv"](c["x"], c["map"], **c["given"]), repeats=7)  # type: ignore[misc]
            flop = 2 * pairs * conv.weight.shape[1] * conv.weight.shape[2]
            row = {
                "layer": call["name"],
                "channels": list(conv.weight.shape),
                "rows": int(kernel_map.count_out),
                "pairs": pairs,
                "us": alone,
                "roofline_us": floor,
                "share_of_roofline": floor / alone,
                "useful_tflop_s": flop / alone / 1e6,
                "executed_over_useful": executed_over_useful(call, plan.rows, pairs),
                "plan": {k: v for k, v in asdict(plan).items() if v not in (None, 0, False)},
            }
            layers.append(row)
    result["layers"] = layers
    result["sum_alone_us"] = sum(each["us"] for each in layers)
    result["roofline_us"] = sum(each["roofline_us"] for each in layers)
    result["share_of_roofline"] = result["roofline_us"] / result["all_us"]
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scan", type=Path, help="a scan in KITTI's format (float32 x, y, z, remission)")
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    result = measure(voxels_of(given.scan).cuda(), given.width)
    for each in result["layers"]:
        print(
            f"{each['layer']:18s} {each['channels']!s:16s} {each['us']:7.1f} us, executed/useful "
            f"{each['executed_over_useful']:.2f}, {100 * each['share_of_roofline']:3.0f}% of the roofline"
        )
    print({key: value for key, value in result.items() if key != "layers"})
    if given.out:
        given.out.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
