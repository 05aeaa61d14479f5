"""The card of an exported transformer: what it is, what it was made of and how it is opened."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from coevo.spaces.sana.export.sampler import SanaSampler
from coevo.spaces.sana.model.macs import macs_of, parameters_of

NO_PUBLISHED_WEIGHTS = "No published weights were used."


def card_of(
    sampler: SanaSampler, data: str, notes: Mapping[str, Any], *, published_weights: str | None
) -> dict[str, Any]:
    """The card as plain JSON.

    Args:
        sampler: what is exported.
        data: what it was trained on, in words ("1000 procedural scenes made by coevo, seed 0").
        notes: measurements and whatever else is to be kept, as JSON.
        published_weights: whose published weights it began from, or None.
    """
    config = sampler.transformer.config
    text_tokens = 300 if sampler.text is None else 1 + sampler.text.most_words
    return {
        "data": data,
        "weights": NO_PUBLISHED_WEIGHTS if published_weights is None else f"Began from {published_weights}.",
        "parameters": parameters_of(config),
        "macs_per_evaluation": macs_of(config, text_tokens=text_tokens),
        "tokens": config.tokens,
        "text_tokens": text_tokens,
        "transformer": config.to_json(),
        "sampling": sampler.sampling.to_json(),
        "notes": dict(notes),
    }


def readme_of(card: Mapping[str, Any], sampler: SanaSampler) -> str:
    """The card as a page."""
    config, sampling = sampler.transformer.config, sampler.sampling
    kinds = [each.attention for each in config.blocks]
    ratios = sorted({each.ffn_ratio for each in config.blocks})
    rows = {
        "parameters": f"{card['parameters']:,}",
        "blocks, width": f"{config.depth}, {config.width}",
        "self-attention": ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds))),
        "FFN ratios": ", ".join(f"{each:g}" for each in ratios),
        "query-key norm": "yes" if config.qk_norm else "no",
        "latents": f"{config.in_channels} x {config.sample_size} x {config.sample_size}",
        "MACs an evaluation": f"{card['macs_per_evaluation'] / 1e9:.3g} G ({card['tokens']} tokens, "
        f"{card['text_tokens']} of text)",
        "sampling": f"{sampling.solver}, {sampling.steps} steps, guidance {sampling.guidance.scale:g}, "
        f"shift {sampling.shift:g}",
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    notes = f"\n## Measured\n\n```json\n{json.dumps(card['notes'], indent=1)}\n```\n" if card["notes"] else ""
    return f"""---
library_name: {"diffusers" if config.is_uniform else "coevo"}
tags: [coevo, sana]
---
# A linear diffusion transformer of Sana's kind

Trained on: {card["data"]}. {card["weights"]}

| | |
|---|---|
{table}
{notes}
## Opening it

```python
import coevo

sampler = coevo.load("this/folder")
{_drawing(sampler)}
```

{_diffusers(sampler)}
"""


def _drawing(sampler: SanaSampler) -> str:
    if sampler.text is not None and (sampler.autoencoder is not None or sampler.draws_pixels):
        return 'images = sampler.draw(["a red circle"], seed=0)  # [1, 3, S, S] in [-1, 1]'
    return "transformer = sampler.transformer  # coevo.spaces.sana.flow.sampling.sample draws latents with it"


def _diffusers(sampler: SanaSampler) -> str:
    if not sampler.transformer.config.is_uniform:
        return (
            "Its blocks differ or have softmax attention, which diffusers' SanaTransformer2DModel does not know: there "
            "is no model_index.json, and diffusers finds no weights."
        )
    missing = ["tokenizer=None", "text_encoder=None"] + (["vae=None"] if sampler.autoencoder is None else [])
    interval = ""
    if (sampler.sampling.guidance.first, sampler.sampling.guidance.last) != (1.0, 0.0):
        interval = " It guides at every step: the interval of guidance is coevo's alone."
    return (
        f'With diffusers: `SanaPipeline.from_pretrained("this/folder", {", ".join(missing)})`, called with '
        '`prompt_embeds`, their mask and `output_type="latent"`'
        f"{' or an image' if sampler.autoencoder is not None else ''}; it has no part that reads captions. "
        f"It tells the transformer whole timesteps, coevo exact ones, so images differ a little.{interval}"
    )
