"""What a study needs before its first stage: this device's latency table, trained weights, and what sampling gives; and
what `coevo measure` does."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from coevo.cost_models.diffusion_latency import LatencyTable, default_path, read_table, write_table
from coevo.cost_models.fingerprint import fingerprint
from coevo.errors import InputError, MissingExtra
from coevo.search.problem import WorkContext
from coevo.spaces.sana.drawing.weights import draw_growth, draw_pruning
from coevo.spaces.sana.judging.clock import Clock
from coevo.spaces.sana.judging.measuring import Effort, dtype_name, space_table
from coevo.spaces.sana.judging.opening import load_verifier, new_net, painter_of, studio_around
from coevo.spaces.sana.judging.recovering import with_features
from coevo.spaces.sana.judging.scoring import measure_responses
from coevo.spaces.sana.judging.stages import RESPONSES, SUPERNET, TABLE, VERIFIER
from coevo.spaces.sana.judging.thinning import pruning_curves
from coevo.spaces.sana.judging.weights import WEIGHTS, Inherited, load_weights, save_weights, train_weights
from coevo.spaces.sana.judging.workload import network_of, workload_of
from coevo.spaces.sana.model.config import BlockConfig
from coevo.spaces.sana.scaling.verifiers import LearnedVerifier, train_verifier
from coevo.spaces.sana.setting import Setting
from coevo.supernets.checkpoints import write_tensors, write_text

Progress = Callable[[float, float, str], None]
CURVE = "curve.json"
GROWTH, PRUNING = "growth", "pruning"
PICTURED = 128
"""Scenes that the pruning curve looks at."""


def prepare(setting: Setting, context: WorkContext) -> Mapping[str, Path]:
    """{latency_table, supernet, responses} inside the context's folder. The table comes first: it is what may be
    refused. Called again after an interruption, it goes on."""
    table = context.folder / "latency_table.json"
    if not table.is_file():
        write_table(table_of(setting, context.progress), table)
    folder = context.folder / "supernet"
    weights, responses = folder / WEIGHTS, context.folder / "responses.json"
    net = new_net(setting, context.seed)
    if weights.is_file():
        load_weights(net, weights)
    else:
        given = setting.options.training
        trained = train_weights(
            net, setting.scenes("train"), setting.recipe(context.seed), setting.plan, batch=given.batch,
            growth=setting.growth, held_out=setting.scenes("search"), folder=folder,
            checkpoint_every=given.checkpoint_every, progress=context.progress,
        )  # fmt: skip
        write_text(folder / CURVE, json.dumps(trained.to_json()) + "\n")
        save_weights(net, weights)
    verifier = context.folder / "verifier.safetensors"
    if not verifier.is_file():
        write_tensors(verifier, trained_verifier(setting, context).state_dict())
    if not responses.is_file():
        context.progress(0, 1, "what steps, guidance and samples give")
        studio = studio_around(setting, net, load_verifier(setting, verifier), context.seed)
        whole = setting.bounds.like_source((True,) * setting.bounds.depth, steps=1, guidance=1.0)
        loss = studio.losses.inherited(whole)
        measure_responses(net.extract(whole), setting.bounds, studio.judging, loss).write(responses)
    made = {TABLE: table, SUPERNET: weights, VERIFIER: verifier, RESPONSES: responses}
    return made | pictures(setting, net, folder / CURVE, context)


def pictures(setting: Setting, net: Inherited, curve: Path, context: WorkContext) -> dict[str, Path]:
    """{growth, pruning}: PNG files in the context's folder; none without matplotlib, which they alone need."""
    made = {name: context.folder / f"{name}.png" for name in (GROWTH, PRUNING)}
    try:
        if not made[GROWTH].is_file():
            curves = json.loads(curve.read_text(encoding="utf-8"))
            draw_growth(curves, setting.bounds.depth, made[GROWTH], setting.options.training.source_depth)
        if not made[PRUNING].is_file():
            context.progress(0, 1, "what leaving blocks out costs")
            model = net.extract(setting.bounds.like_source((True,) * setting.bounds.depth, steps=1, guidance=1.0))
            painter = painter_of(setting, net)
            batches = [with_features(each, painter) for each in setting.scenes("search").all(PICTURED)[:1]]
            found = pruning_curves(model, batches, setting.bounds.least_depth, setting.precision())
            draw_pruning(found, made[PRUNING])
    except MissingExtra:
        return {}
    return made


def trained_verifier(setting: Setting, context: WorkContext) -> LearnedVerifier:
    """Trained on rendered scenes and captions that fit and do not; it never sees the oracle or a drawn image."""
    given, found = setting.options.judging, setting.new_verifier(context.seed)
    train_verifier(
        found, given.verifier_steps, size_px=setting.options.data.size_px, batch=given.verifier_batch,
        seed=context.seed, half=setting.precision() == "bfloat16",
        progress=lambda step, loss, right: context.progress(
            step, given.verifier_steps, f"verifier: loss {loss:.3f}, {100 * right:.0f} % right"
        ),
    )  # fmt: skip
    return found


def table_of(setting: Setting, progress: Progress) -> LatencyTable:
    """The one that the options name, else this device's own where it fits the space, else one that is measured now.

    Raises:
        InputError: the options' table is of another device or does not span the space.
    """
    device = fingerprint(str(setting.device()))
    if setting.table is not None:
        setting.table.check_device(device, str(setting.options.latency_table))
        check_table(setting, setting.table, str(setting.options.latency_table))
        return setting.table
    own = default_path(device, setting.shape, dtype_name(setting.dtype()))
    if own.is_file():
        table = read_table(own)
        if _spans(setting, table):
            return table
    return measured_table(setting, progress)


def check_table(setting: Setting, table: LatencyTable, where: str = "the latency table") -> None:
    """InputError unless the table's networks are the setting's and it holds all that its designs take."""
    table.check_shape(setting.shape, dtype_name(setting.dtype()), where)
    for design in (setting.bounds.smallest, setting.bounds.largest):
        table.predict(workload_of(design, setting.source))
    for kind in setting.bounds.attention:
        for ratio in setting.bounds.ffn_ratios:
            block = setting.source.with_blocks([BlockConfig(kind, ratio)])
            table.evaluation_ms(network_of(block), 1)


def _spans(setting: Setting, table: LatencyTable) -> bool:
    try:
        check_table(setting, table)
    except InputError:  # of a smaller space; this one's is measured for this run alone
        return False
    return True


def clock_of(setting: Setting) -> Clock:
    """Times networks of this setting; weights do not matter to it."""
    options = setting.options
    return Clock(
        new_net(setting, 0).captions, setting.codec, setting.new_verifier(0).eval().score, size_px=options.data.size_px,
        dtype=setting.dtype(), repeats=options.timings,
    )  # fmt: skip


def measured_table(setting: Setting, progress: Progress) -> LatencyTable:
    """Of this space on this device."""
    options = setting.options
    effort = Effort(options.table_networks, options.timings)
    return space_table(
        setting.bounds, setting.source, clock_of(setting), setting.shape["verifier"], effort, progress=progress
    )


def measure(setting: Setting, target: Path | None, progress: Progress) -> dict[str, Any]:
    """`coevo measure`: the table goes to `target`, or to this device's own place."""
    table = measured_table(setting, progress)
    path = target or default_path(table.device, table.shape, table.dtype)
    write_table(table, path)
    ends = {name: table.predict(workload_of(getattr(setting.bounds, name), setting.source)).total_ms
            for name in ("smallest", "largest")}  # fmt: skip
    return {
        "device": dict(table.device),
        "dtype": table.dtype,
        "tokens": setting.source.tokens,
        "operations": len(table.operations),
        "calibrated_on": table.calibration.networks,
        "calibration_error": table.calibration.error,
        "smallest_ms": ends["smallest"],
        "largest_ms": ends["largest"],
        "table": str(path),
    }
