"""A network as a TOML file of layers: the shapes between them follow from the input.

Kinds of layers, and what they have beside `name`, `kind` and `count` (how many layers of this very shape the network
has here, as in blocks that repeat):

- `convolution`: `channels` (of the output), `kernel`, and where they are not 1, 0, 1, 1: `stride`, `padding`,
  `dilation`, `groups`. `depthwise`: the same without `channels` and `groups`, one kernel a channel.
  `transposed convolution`: `channels`, `kernel`, `stride`, `padding`. Numbers, or [rows, columns].
- `linear`: `features` (of the output); its input is flattened.
- `pool`: `kernel`, `stride`, `padding` and `ceil`, or `size` (the output whatever the input); no MACs, it only changes
  the size. `resize`: `scale`.
- `matrix product`: `rows`, `inner`, `columns`; "tokens" stands for the length of the sequence. `attention`: `heads`,
  `key_heads`, `queries`, `keys`, `width`.

Where a layer gets its input from says `from`: the layer before where it is left out, "input", or a list, whose channels
are put together (`crop = true` cuts them to the smallest). `input = [channels, rows, columns]` states it instead.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from coevo.cost_models.accelerator.layer import attention, convolution, matrix_product
from coevo.cost_models.accelerator.workloads.transposed import transposed_convolution
from coevo.cost_models.accelerator.workloads.workload import Occurrence, Workload
from coevo.errors import ConfigError, InputError, unknown_name
from coevo.hardware.accelerators.document import Section, bundled_or_path, parse_document, read_document

FOLDER = Path(__file__).parent
WORKLOADS = tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))
"""The bundled networks."""

Shape = tuple[int, int, int]
"""Channels, rows and columns between two layers."""


def load_workload(
    name_or_path: str | Path, batch: int = 1, input_size: int | tuple[int, int] | None = None
) -> Workload:
    """A bundled network by its name, or the user's by the path of a TOML file.

    `input_size`: rows and columns of the image (one number for both) or the length of the sequence, in place of the
    file's. ConfigError says file, layer, what came and what is expected.
    """
    path = bundled_or_path(name_or_path, FOLDER, "workload")
    return _workload(read_document(path), path.stem, batch, input_size)


def parse_workload(
    text: str, file: str = "workload.toml", batch: int = 1, input_size: int | tuple[int, int] | None = None
) -> Workload:
    """`load_workload` for a text; `file` is what messages call it."""
    return _workload(parse_document(text, file), Path(file).stem, batch, input_size)


def _workload(document: Section, stem: str, batch: int, input_size: int | tuple[int, int] | None) -> Workload:
    document.only("name", "source", "input", "tokens", "left_out", "layer")
    if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
        raise InputError(f"{document.file}: the batch must be a whole number of at least 1, got {batch!r}")
    document.text("source", default="none")  # for people; only its type is checked
    walk = _Walk(document, batch, input_size)
    for section in document.sections("layer", "layer"):
        walk.read(section)
    left_out = _texts(document, "left_out")
    try:
        return Workload.of(document.text("name", stem), walk.found, left_out)
    except InputError as error:
        raise ConfigError(f"{document.file}: {error}") from None


class _Walk:
    """Reads layer after layer and knows the shape behind each."""

    def __init__(self, document: Section, batch: int, input_size: int | tuple[int, int] | None):
        self.batch = batch
        self.found: list[Occurrence] = []
        self.shapes: dict[str, Shape] = {}
        self.names: list[str] = []
        self.tokens = document.whole("tokens") if "tokens" in document else None
        if "input" in document:
            channels, rows, columns = _shape(document, "input")
            if input_size is not None:
                pair = input_size if isinstance(input_size, tuple) else (input_size, input_size)
                if len(pair) != 2 or not all(_whole(size, 1) for size in pair):
                    raise InputError(
                        f"{document.file}: input_size must be a whole number of at least 1, or (rows, columns) "
                        f"of such, got {input_size!r}"
                    )
                rows, columns = pair
            self.shapes["input"] = (channels, rows, columns)
        elif self.tokens is not None:
            if input_size is not None:
                if isinstance(input_size, tuple) or not _whole(input_size, 1):
                    raise InputError(
                        f"{document.file}: input_size is the length of a sequence here, a whole number of at least 1, "
                        f"got {input_size!r}"
                    )
                self.tokens = input_size
        elif input_size is not None:
            raise InputError(
                f"{document.file}: input_size {input_size!r} has nothing to act on: the file states neither an input "
                "nor tokens, every layer has its own shape"
            )

    def read(self, section: Section) -> None:
        name = section.text("name")
        if name in self.shapes or name in self.names or name == "input":
            raise section.fail("name", f"{name!r} stands twice; layers need distinct names, other than 'input'")
        kind = section.text("kind", example='"convolution"')
        if kind not in KINDS:
            raise ConfigError(str(unknown_name("kind of layer", kind, KINDS, section.where("kind"))))
        try:
            KINDS[kind](self, section, name)
        except ConfigError:
            raise
        except InputError as error:
            raise ConfigError(f"{section.file}: {error}") from None
        self.names.append(name)

    def source(self, section: Section) -> Shape:
        """The shape that enters this layer."""
        if "input" in section:
            if "from" in section:
                raise section.fail("input", "stands beside 'from'; give one of them")
            return _shape(section, "input")
        given = section.values.get("from", self.names[-1] if self.names else "input")
        names = given if isinstance(given, list) else [given]
        crop = section.flag("crop", False)
        shapes = []
        for name in names:
            if name not in self.shapes:
                if name == "input":
                    raise section.fail(
                        "from", "the file states no input; give input = [channels, rows, columns] at its top or here"
                    )
                raise ConfigError(
                    str(unknown_name("layer with an image", str(name), self.shapes, section.where("from")))
                )
            shapes.append(self.shapes[name])
        if not shapes:
            raise section.fail("from", "expected the name of a layer or a list of them, got []")
        if len({shape[1:] for shape in shapes}) > 1 and not crop:
            said = ", ".join(
                f"{name} {rows} x {columns}" for name, (_, rows, columns) in zip(names, shapes, strict=True)
            )
            raise section.fail("from", f"expected images of one size, got {said}; crop = true cuts to the smallest")
        return sum(shape[0] for shape in shapes), min(shape[1] for shape in shapes), min(shape[2] for shape in shapes)

    def add(self, section: Section, occurrence: Callable[[int], list[Occurrence]]) -> None:
        self.found += occurrence(section.whole("count", 1))

    def convolution(self, section: Section, name: str) -> None:
        section.only(*COMMON, *IMAGE, "channels", "kernel", "stride", "padding", "dilation", "groups")
        channels, rows, columns = self.source(section)
        self._convolve(section, name, (rows, columns), channels, section.whole("channels"), section.whole("groups", 1))

    def depthwise(self, section: Section, name: str) -> None:
        section.only(*COMMON, *IMAGE, "kernel", "stride", "padding", "dilation")
        channels, rows, columns = self.source(section)
        self._convolve(section, name, (rows, columns), channels, channels, channels)

    def _convolve(
        self, section: Section, name: str, size: tuple[int, int], in_channels: int, channels: int, groups: int
    ) -> None:
        layer = convolution(
            name,
            size,
            in_channels,
            channels,
            _pair(section, "kernel"),
            _pair(section, "stride", 1),
            _pair(section, "padding", 0, at_least=0),
            _pair(section, "dilation", 1),
            groups,
            self.batch,
        )
        self.shapes[name] = (channels, layer.sizes["Y"], layer.sizes["X"])
        self.add(section, lambda count: [Occurrence(layer, count)])

    def transposed(self, section: Section, name: str) -> None:
        section.only(*COMMON, *IMAGE, "channels", "kernel", "stride", "padding")
        in_channels, rows, columns = self.source(section)
        channels = section.whole("channels")
        kernel, stride = _pair(section, "kernel"), _pair(section, "stride", 1)
        padding = _pair(section, "padding", 0, at_least=0)
        height, width = (
            (size - 1) * step + taps - 2 * pad
            for size, step, taps, pad in zip((rows, columns), stride, kernel, padding, strict=True)
        )
        if min(height, width) < 1:
            raise section.fail(
                "padding", f"{padding} leaves no output of {rows} x {columns} inputs and kernel {kernel}"
            )
        layer = transposed_convolution(name, (height, width), in_channels, channels, kernel, stride, batch=self.batch)
        self.shapes[name] = (channels, height, width)
        self.add(section, lambda count: [Occurrence(layer, count)])

    def linear(self, section: Section, name: str) -> None:
        section.only(*COMMON, *IMAGE, "features")
        channels, rows, columns = self.source(section)
        features = section.whole("features")
        layer = matrix_product(name, self.batch, features, channels * rows * columns)
        self.shapes[name] = (features, 1, 1)
        self.add(section, lambda count: [Occurrence(layer, count)])

    def pool(self, section: Section, name: str) -> None:
        section.only("name", "kind", *IMAGE, "kernel", "stride", "padding", "ceil", "size")
        channels, *sizes = self.source(section)
        if "size" in section:
            self.shapes[name] = (channels, *_pair(section, "size"))
            return
        kernel = _pair(section, "kernel")
        stride = _pair(section, "stride", default=kernel)
        padding = _pair(section, "padding", 0, at_least=0)
        up = section.flag("ceil", False)
        outputs = []
        for size, taps, step, pad in zip(sizes, kernel, stride, padding, strict=True):
            room = size + 2 * pad - taps
            if room < 0:
                raise section.fail("kernel", f"{taps} is larger than the padded input of {size + 2 * pad}")
            output = (room + (step - 1 if up else 0)) // step + 1
            if up and (output - 1) * step >= size + pad:  # as frameworks do: no window begins in the padding
                output -= 1
            outputs.append(output)
        self.shapes[name] = (channels, outputs[0], outputs[1])

    def resize(self, section: Section, name: str) -> None:
        section.only("name", "kind", *IMAGE, "scale")
        channels, rows, columns = self.source(section)
        up = _pair(section, "scale")
        self.shapes[name] = (channels, rows * up[0], columns * up[1])

    def matrix_product(self, section: Section, name: str) -> None:
        section.only(*COMMON, "rows", "inner", "columns")
        rows, inner, columns = (self._length(section, key) for key in ("rows", "inner", "columns"))
        layer = matrix_product(name, rows * self.batch, columns, inner)
        self.add(section, lambda count: [Occurrence(layer, count)])

    def attention(self, section: Section, name: str) -> None:
        section.only(*COMMON, "heads", "key_heads", "queries", "keys", "width")
        heads = section.whole("heads")
        key_heads = section.whole("key_heads", heads)
        queries, keys = self._length(section, "queries"), self._length(section, "keys")
        pair = attention(name, heads, queries, keys, section.whole("width"), key_heads, self.batch)
        self.add(section, lambda count: [Occurrence(layer, count, stored=False) for layer in pair])

    def _length(self, section: Section, key: str) -> int:
        if section.values.get(key) == "tokens":
            if self.tokens is None:
                raise section.fail(key, 'is "tokens", and the file states none; for example tokens = 128 at its top')
            return self.tokens
        return section.whole(key)


COMMON = ("name", "kind", "count")
IMAGE = ("from", "input", "crop")
KINDS: dict[str, Callable[[_Walk, Section, str], None]] = {
    "convolution": _Walk.convolution,
    "depthwise": _Walk.depthwise,
    "transposed convolution": _Walk.transposed,
    "linear": _Walk.linear,
    "pool": _Walk.pool,
    "resize": _Walk.resize,
    "matrix product": _Walk.matrix_product,
    "attention": _Walk.attention,
}


def _pair(
    section: Section, key: str, default: int | tuple[int, int] | None = None, at_least: int = 1
) -> tuple[int, int]:
    """A whole number for rows and columns alike, or [rows, columns]."""
    if key not in section and default is not None:
        return default if isinstance(default, tuple) else (default, default)
    value = section.take(key, "3")
    pair = value if isinstance(value, list) else [value, value]
    if len(pair) != 2 or not all(_whole(size, at_least) for size in pair):
        raise section.fail(
            key, f"expected a whole number of at least {at_least}, or [rows, columns] of such, got {value!r}"
        )
    return pair[0], pair[1]


def _shape(section: Section, key: str) -> Shape:
    value = section.take(key, "[3, 224, 224]")
    if not isinstance(value, list) or len(value) != 3 or not all(_whole(size, 1) for size in value):
        raise section.fail(key, f"expected [channels, rows, columns], whole numbers of at least 1, got {value!r}")
    return value[0], value[1], value[2]


def _whole(value: Any, at_least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= at_least


def _texts(section: Section, key: str) -> tuple[str, ...]:
    value = section.values.get(key, [])
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise section.fail(key, f"expected a list of texts, got {value!r}")
    return tuple(value)
