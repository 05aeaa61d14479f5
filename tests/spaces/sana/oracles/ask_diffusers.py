"""Asks diffusers for its answers to `cases.py`, without coevo.

python tests/spaces/sana/oracles/ask_diffusers.py > tests/spaces/sana/oracles/answers.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import diffusers
import numpy as np
import torch
from cases import MODELS, SAMPLERS, ModelCase, SamplerCase, block_inputs, drawn, gaussian_velocity, inputs, weight


def transformer(case: ModelCase) -> Any:
    model = diffusers.SanaTransformer2DModel(**case.config).eval()
    weights = {name: torch.from_numpy(weight(name, tuple(each.shape))) for name, each in model.state_dict().items()}
    model.load_state_dict(weights)
    return model


@torch.no_grad()
def velocity(case: ModelCase) -> torch.Tensor:
    given = {name: torch.from_numpy(each) for name, each in inputs(case).items()}
    answer = transformer(case)(
        given["latents"], given["text"], given["timestep"],
        encoder_attention_mask=given["mask"] if case.masked else None, return_dict=False,
    )  # fmt: skip
    return answer[0]


@torch.no_grad()
def block(case: ModelCase) -> torch.Tensor:
    given = {name: torch.from_numpy(each) for name, each in block_inputs(case).items()}
    return transformer(case).transformer_blocks[0](
        given["tokens"], encoder_hidden_states=given["text"], timestep=given["time_table"].flatten(1),
        height=case.height, width=case.width,
    )  # fmt: skip


def sampled(case: SamplerCase) -> tuple[torch.Tensor, list[float]]:
    if case.solver == "flow_dpm":
        scheduler = diffusers.DPMSolverMultistepScheduler(
            use_flow_sigmas=True, prediction_type="flow_prediction", flow_shift=case.shift
        )
        scheduler.set_timesteps(case.steps)
    else:
        scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=case.shift)
        scheduler.set_timesteps(sigmas=np.linspace(0.999, 0, case.steps + 1)[:-1])
    x = torch.from_numpy(drawn("noise", (16,)))
    for step, timestep in enumerate(scheduler.timesteps):
        time = float(scheduler.sigmas[step])
        x = scheduler.step(gaussian_velocity(x, time), timestep, x, return_dict=False)[0]
    return x, scheduler.sigmas.tolist()


def plain(tensor: torch.Tensor) -> dict[str, Any]:
    return {"shape": list(tensor.shape), "values": [float(f"{each:.7g}") for each in tensor.flatten().tolist()]}


def answers() -> dict[str, Any]:
    samplers = {case.name: sampled(case) for case in SAMPLERS}
    return {
        "versions": {"diffusers": diffusers.__version__, "torch": torch.__version__, "numpy": np.__version__},
        "velocities": {case.name: plain(velocity(case)) for case in MODELS},
        "blocks": {case.name: plain(block(case)) for case in MODELS[:2]},
        "samples": {name: plain(x) for name, (x, _) in samplers.items()},
        "times": {name: times for name, (_, times) in samplers.items()},
    }


if __name__ == "__main__":
    json.dump(answers(), sys.stdout, indent=None, separators=(",", ":"))
    print()
