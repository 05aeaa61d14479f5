"""MinkUNet and SPVCNN on a CUDA device: errors, times, memory, training that repeats to the byte, where the time goes.

    python experiments/bench/sparse_networks.py --scan 000000.bin --parts errors times --out out.json

Times of coevo alone, part by part, for its developers; `gpu_sparse.py` compares engines.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import _bench  # noqa: F401  finds coevo in a copy of the tree
import torch
from _sparse_inputs import CAPACITY, CLASSES, IGNORED, Scan, different_scans, together
from _sparse_timing import emptied, kernels, peak_since, spread, wall_ms
from torch import nn

from coevo.kernels.sparse.hierarchy import build_levels
from coevo.kernels.sparse.inference import compile_for_inference
from coevo.kernels.sparse.modules import SPVCNN, MinkUNet
from coevo.kernels.sparse.tensors import PointTensor, SparseTensor
from coevo.kernels.sparse.training import TrainingStep

STEPS = 50
WIDTHS, DTYPES = [1.0, 0.5], [torch.float16, torch.bfloat16, torch.float32]


def calibrated(kind: type[MinkUNet], width: float, scan: Scan, **options: Any) -> MinkUNet:
    """A network whose norms hold the statistics of the scan: activations stay near one."""
    torch.manual_seed(0)
    net = kind(CLASSES, width=width, **options).cuda().train()
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm1d):
            layer.momentum = 1.0
    with torch.no_grad(), torch.autocast("cuda", enabled=False):
        net(SparseTensor.of(scan.feats, scan.coords))
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm1d):
            layer.momentum = 0.1
    return net.eval()


def reference(net: MinkUNet, scan: Scan) -> torch.Tensor:
    """Logits in double precision by the plain reference, in the order given."""
    import copy

    x = SparseTensor.of(scan.feats.double(), scan.coords)
    with torch.no_grad():
        return x.with_feats(copy.deepcopy(net).double()(x)).in_given_order()


def apart(found: torch.Tensor, wanted: torch.Tensor) -> dict[str, float]:
    return {
        "relative": float((found.double() - wanted).norm() / wanted.norm()),
        "classes_alike": float((found.argmax(1) == wanted.argmax(1)).double().mean()),
    }


def errors(scans: list[Scan]) -> dict[str, Any]:
    """Compiled and eager networks against the reference."""
    found: dict[str, Any] = {}
    for kind in (MinkUNet, SPVCNN):
        for width in WIDTHS:
            net = calibrated(kind, width, scans[0])
            for dtype in DTYPES:
                static = compile_for_inference(net, CAPACITY, dtype)
                for scan in scans[:2]:
                    wanted = reference(net, scan)
                    name = f"{kind.__name__} {width} {str(dtype)[6:]} {scan.name}"
                    found[name] = apart(static(scan.feats, scan.coords), wanted)
                    repeat = static(scan.feats, scan.coords)
                    found[name]["repeats"] = bool(torch.equal(repeat, static(scan.feats, scan.coords)))
            x = SparseTensor.of(scans[0].feats, scans[0].coords)
            with torch.no_grad(), torch.autocast("cuda", torch.float16):
                eager = x.with_feats(net(x)).in_given_order()
            found[f"{kind.__name__} {width} eager autocast"] = apart(eager, reference(net, scans[0]))
    return found


def times(scans: list[Scan]) -> dict[str, Any]:
    """Inference of one scan and of four, with the graph and without."""
    found: dict[str, Any] = {}
    four = together(scans[:4])
    for kind in (MinkUNet, SPVCNN):
        for width in WIDTHS:
            net = calibrated(kind, width, scans[0])
            for label, batch, room in (("1 scan", scans, CAPACITY), ("4 scans", [four], 4 * CAPACITY)):
                for graph in (True, False):
                    before = emptied()
                    static = compile_for_inference(net, room, graph=graph)
                    works = [partial(static, each.half, each.coords) for each in batch]
                    wall_ms(works, 5)
                    name = f"{kind.__name__} {width} {label} {'graph' if graph else 'no graph'}"
                    found[name] = {**spread(wall_ms(works, 60)), **peak_since(before)}
                    del static, works
    coords = scans[0].coords
    emptied()
    graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream()
    count = torch.tensor([len(coords)], dtype=torch.int32, device="cuda")
    with torch.cuda.stream(stream):
        build_levels(coords, 5, count=count, capacity=len(coords))
    torch.cuda.synchronize()
    with torch.cuda.graph(graph):
        build_levels(coords, 5, count=count, capacity=len(coords))
    found["maps of five strides, graph"] = spread(wall_ms([graph.replay], 60))
    return found


def training(scans: list[Scan]) -> dict[str, Any]:
    """Steps of forward, backward and SGD."""
    found: dict[str, Any] = {}
    for dtype in [each for each in DTYPES if each is not torch.float32]:
        for label, batch in (("1 scan", scans[0]), ("4 scans", together(scans[:4]))):
            for graph in (True, False):
                before = emptied()
                net = calibrated(MinkUNet, 1.0, scans[0]).train()
                step, optimizer = make_step(net, dtype, len(batch), graph)
                work = one_step(step, optimizer, batch)
                wall_ms([work], 4)
                name = f"training {str(dtype)[6:]} {label} {'graph' if graph else 'no graph'}"
                found[name] = {**spread(wall_ms([work], 20)), **peak_since(before)}
                del net, step, optimizer, work
    return found


def make_step(net: MinkUNet, dtype: torch.dtype | None, room: int, graph: bool) -> tuple[TrainingStep, Any]:
    def loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(logits, labels, ignore_index=IGNORED)

    scaler = torch.amp.GradScaler("cuda", init_scale=1024.0) if dtype is torch.float16 else None
    step = TrainingStep(net, loss, room, dtype=dtype, scaler=scaler, ignored=IGNORED, graph=graph)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9, nesterov=True, weight_decay=1e-4, fused=True)
    return step, optimizer


def one_step(step: TrainingStep, optimizer: Any, scan: Scan) -> Callable[[], Any]:
    def work() -> torch.Tensor:
        loss = step(scan.feats, scan.coords, scan.labels, check=False)
        if step.scaler is None:
            optimizer.step()
        else:
            step.scaler.step(optimizer)
            step.scaler.update()
        return loss

    return work


def digest(net: nn.Module) -> str:
    held = hashlib.sha256()
    for each in net.state_dict().values():
        held.update(each.detach().cpu().numpy().tobytes())
    return held.hexdigest()[:16]


def trained(kind: str, scans: list[Scan]) -> tuple[str, float, float]:
    """(digest of the weights, first loss, last loss) after STEPS steps."""
    torch.manual_seed(1)
    if kind == "SPVCNN raw, eager":
        net = SPVCNN(CLASSES, width=0.5, points="raw").cuda()
        optimizer = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9, nesterov=True)
        losses = []
        for index in range(STEPS):
            scan = scans[index % len(scans)]
            generator = torch.Generator(device="cuda").manual_seed(index)
            places = scan.coords.float()
            places[:, 1:] += torch.rand(places[:, 1:].shape, generator=generator, device="cuda")
            optimizer.zero_grad()
            with torch.autocast("cuda", torch.float16):
                logits = net(PointTensor(scan.feats, places))
            loss = nn.functional.cross_entropy(logits.float(), scan.labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        return digest(net), float(losses[0]), float(losses[-1])
    net = (MinkUNet if kind.startswith("MinkUNet") else SPVCNN)(CLASSES, width=1.0).cuda()
    step, optimizer = make_step(net, torch.float16, CAPACITY, "graph" in kind)
    losses = [one_step(step, optimizer, scans[index % len(scans)])() for index in range(STEPS)]
    return digest(net), float(losses[0]), float(losses[-1])


def bytes_alike(scans: list[Scan]) -> dict[str, Any]:
    """Two trainings of each kind."""
    found = {}
    for kind in ("MinkUNet 1.0, graph", "SPVCNN 1.0, graph", "SPVCNN 1.0, no graph", "SPVCNN raw, eager"):
        began = time.perf_counter()
        one, other = trained(kind, scans[:4]), trained(kind, scans[:4])
        found[kind] = {
            "alike": one[0] == other[0], "digest": one[0], "first_loss": one[1], "last_loss": one[2],
            "seconds": round(time.perf_counter() - began, 1),
        }  # fmt: skip
        print(kind, found[kind], flush=True)
    return found


def profiled(scans: list[Scan]) -> dict[str, Any]:
    """Kernels of one call of inference, and what a call takes."""
    found: dict[str, Any] = {}
    for kind in (MinkUNet, SPVCNN):
        static = compile_for_inference(calibrated(kind, 1.0, scans[0]), CAPACITY)
        works = [partial(static, scan.half, scan.coords) for scan in scans]
        wall_ms(works, 5)
        found[f"{kind.__name__} inference"] = kernels(partial(works[0], check=False))
        found[f"{kind.__name__} inference, wall"] = spread(wall_ms(works, 60))
    return found


def profiled_training(scans: list[Scan]) -> dict[str, Any]:
    """Kernels of one training step, and what a step takes."""
    step, optimizer = make_step(calibrated(MinkUNet, 1.0, scans[0]).train(), torch.float16, len(scans[0]), True)
    work = one_step(step, optimizer, scans[0])
    wall_ms([work], 3)
    return {"training": kernels(work), "training, wall": spread(wall_ms([work], 20))}


PARTS: dict[str, Callable[[list[Scan]], dict[str, Any]]] = {
    "errors": errors, "times": times, "training": training, "bytes": bytes_alike, "profile": profiled,
    "profile-training": profiled_training,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scan", type=Path, help="a .bin of SemanticKITTI; generated scans alone without it")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--scans", type=int, default=8)
    parser.add_argument("--widths", type=float, nargs="+", default=WIDTHS)
    parser.add_argument("--dtypes", nargs="+", default=[str(each)[6:] for each in DTYPES])
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    WIDTHS[:] = arguments.widths
    DTYPES[:] = [getattr(torch, each) for each in arguments.dtypes]
    scans = different_scans(arguments.scan, arguments.scans, "cuda")
    print([f"{scan.name}: {len(scan)}" for scan in scans], flush=True)
    document: dict[str, Any] = {"device": torch.cuda.get_device_name(), "scans": [len(scan) for scan in scans]}
    for part in arguments.parts:
        began = time.perf_counter()
        try:
            document[part] = PARTS[part](scans)
        except Exception as error:  # the other parts are still measured
            import traceback

            traceback.print_exc()
            document[part] = {"failed": f"{type(error).__name__}: {error}"}
        print(f"== {part} ({time.perf_counter() - began:.1f} s)")
        for name, each in document[part].items():
            if isinstance(each, list):
                print(
                    f"{name}: {sum(row['us'] for row in each):.0f} us, {sum(row['launches'] for row in each)} launches"
                )
                for row in each[:14]:
                    print(f"    {row['us']:9.1f} us {row['launches']:5d} x {row['kernel'][:70]}")
            else:
                print(f"{name}: {each}", flush=True)
        if arguments.out:
            arguments.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
