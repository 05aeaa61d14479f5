"""A design as an SVG: the source's blocks, which of them stay, with what Mix-FFN and attention, and how it samples."""

from __future__ import annotations

from html import escape

from coevo.spaces.sana.design import SanaDesign
from coevo.spaces.sana.model.config import SanaConfig
from coevo.spaces.sana.model.macs import macs_of, parameters_of

LEFT, TOP, ROW, BAR, LONGEST = 24, 92, 22, 14, 260
TEXT_TOKENS = 16
_LINEAR, _SOFTMAX = "#2f6fd0", "#e07b2a"
_GONE = 'fill="none" stroke="#9aa3b2" stroke-dasharray="3 2"'


def draw_design(design: SanaDesign, source: SanaConfig) -> str:
    """An `<svg ...>` text, the same for the same design. InputError for a mask of another length than the source's
    depth."""
    config = design.network(source)
    most = max(design.ffn_ratios + tuple(each.ffn_ratio for each in source.blocks))
    width, height = LEFT + 110 + 2 * LONGEST + 120, TOP + ROW * source.depth + 20
    second = LEFT + 110 + LONGEST + 60
    guided = f"guidance {design.guidance:g}" if design.is_guided else "no guidance"
    picked = f"the best of {design.samples} samples" if design.samples > 1 else "1 sample"
    title = (
        f"{design.depth} of {source.depth} blocks, {parameters_of(config) / 1e6:.3g} M parameters, "
        f"{macs_of(config, text_tokens=TEXT_TOKENS) / 1e9:.3g} GMACs an evaluation"
    )
    body = [
        _text(LEFT, 24, title, 'font-weight="600"'),
        _text(LEFT, 43, f"{design.steps} steps, {guided}, {picked}; width {source.width}, {source.tokens} tokens"),
        *_legend(62),
        _text(LEFT + 110, TOP - 8, "this design: Mix-FFN ratio", 'fill="#6b7280"'),
        _text(second, TOP - 8, "source", 'fill="#6b7280"'),
    ]
    kept = iter(config.blocks)
    for index, (stays, of) in enumerate(zip(design.keep, source.blocks, strict=True)):
        y = TOP + ROW * index
        body.append(_text(LEFT, y + BAR - 3, f"block {index}"))
        whole = LONGEST * of.ffn_ratio / most
        if stays:
            block = next(kept)
            body.append(_bar(LEFT + 110, y, LONGEST * block.ffn_ratio / most, f'fill="{_colour(block.attention)}"'))
            body.append(_text(LEFT + 116, y + BAR - 3, f"{block.ffn_ratio:g}  {block.attention}", 'fill="#ffffff"'))
        else:
            body.append(_bar(LEFT + 110, y, whole, _GONE))
            body.append(_text(LEFT + 116, y + BAR - 3, "left out", 'fill="#6b7280"'))
        body.append(_bar(second, y, whole, f'fill="{_colour(of.attention)}" opacity="0.35"'))
        body.append(_text(second + 6, y + BAR - 3, f"{of.ffn_ratio:g}  {of.attention}"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{escape(title)}" font-family="ui-sans-serif, system-ui, sans-serif" font-size="11">'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{"".join(body)}</svg>\n'
    )


def _legend(y: int) -> list[str]:
    found, x = [], LEFT
    for look, words in ((f'fill="{_LINEAR}"', "linear attention"), (f'fill="{_SOFTMAX}"', "softmax attention"),
                        (_GONE, "left out")):  # fmt: skip
        found += [f'<rect x="{x}" y="{y - 9}" width="22" height="10" {look}/>', _text(x + 28, y, words)]
        x += 150
    return found


def _colour(kind: str) -> str:
    return _LINEAR if kind == "linear" else _SOFTMAX


def _bar(x: float, y: float, width: float, look: str) -> str:
    return f'<rect x="{x:g}" y="{y:g}" width="{width:.4g}" height="{BAR}" rx="2" {look}/>'


def _text(x: float, y: float, words: str, more: str = 'fill="#1f2937"') -> str:
    return f'<text x="{x:g}" y="{y:g}" {more}>{escape(words)}</text>'
