"""Reads a trained network from its ONNX file: what it takes and gives, in which layout, or why it cannot be used.

What does not live here: which output holds the scores (`graphs.outputs`), and how the batch is freed (`graphs.batch`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import google.protobuf.message
import onnx
import onnx.inliner

from topfive.backends.graph_files import why_not_loaded
from topfive.ground.errors import ConfigurationError
from topfive_pipeline.graphs.layouts import Layout, LayoutChoice, taken_as
from topfive_pipeline.graphs.nodes import ELEMENT_TYPES
from topfive_pipeline.graphs.running import noise, run, session
from topfive_pipeline.graphs.training import must_not_train
from topfive_pipeline.graphs.weights import External, linked, take_in
from topfive_pipeline.preprocessing.rules import Size

Shape = tuple[int | None, ...]
"""Lengths of a value's dimensions; None where free."""
OLDEST_OPSET: Final = 7
"""The first opset in which operators broadcast as NumPy does; older graphs are very rare."""
OLDEST_IR: Final = 4
"""The first IR version in which weights need not be inputs."""
_DTYPES: Final = {number: name for name, number in ELEMENT_TYPES.items()}
_USUAL_SIDE: Final = 224
"""Pixels; stands in for a free height or width where the network is tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """An input or output; `dtype` is NumPy's name for its elements, or ONNX's where NumPy has none."""

    name: str
    dtype: str
    shape: Shape

    def described(self) -> str:
        """Its name, elements and shape for a message: `'logits' float32 [N,1000]`."""
        return f"'{self.name}' {self.dtype} {shown(self.shape)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network of one input, as it was read; no weight of `model` is an input of it, and its IR version is at least 4.

    `layout`, and `layout_because` in words, say how the input holds pixels: `channels` of them, `size` where it is
    fixed. `external` are the files of weights that are too many to be taken into `model`; `links` all files of weights,
    if links are among them. `said` is what was done to the graph while it was read, a sentence each.
    """

    model: Any
    opset: int
    ir_version: int
    input: Value
    layout: Layout
    layout_because: str
    channels: int
    size: Size | None
    outputs: tuple[Value, ...]
    external: External = field(default_factory=dict)
    links: External = field(default_factory=dict)
    said: tuple[str, ...] = ()

    @property
    def batch(self) -> int | None:
        """How many images it takes at once, always; None if any number."""
        return self.input.shape[0]

    def input_shape(self, batch: int, *, size: Size | None = None) -> tuple[int, ...]:
        """A full shape of the input: free lengths are `batch`, and `size`, else 224 pixels."""
        height, width = size or self.size or (_USUAL_SIDE, _USUAL_SIDE)
        pixels = {
            "NCHW": (self.channels, height, width),
            "NHWC": (height, width, self.channels),
            "flat": (height * width * self.channels,) if len(self.input.shape) == 2 else (height, width),
        }[self.layout]
        return tuple(given or free for given, free in zip(self.input.shape, (batch, *pixels), strict=True))


def read(path: Path, *, layout: LayoutChoice = "auto") -> Network:
    """The network in the ONNX file at `path`; raises `ConfigurationError` if it cannot be a classifier of images."""
    model = _loaded(path)
    opset = _opset(model, path)
    links = linked(model, path)
    external = take_in(model, path)
    said = []
    if external:
        said.append(f"its weights stay in {', '.join(sorted(external))}: a graph may not be larger than 2 GB")
    if weights_are_inputs := _without_weights(model):
        said.append(
            f"{weights_are_inputs} weights were declared as inputs, as old exporters do; they are constants now"
        )
    if model.functions and not external:
        model = _inlined(model, path)
    must_not_train(model, path)
    taken = _input(model, path)
    pixels = taken_as(model.graph, taken.shape, layout=layout, where=f"{path}: its input {taken.described()}")
    _set_batch_name(model.graph)
    network = Network(
        model=model,
        opset=opset,
        ir_version=model.ir_version,
        input=taken,
        layout=pixels.layout,
        layout_because=pixels.because,
        channels=pixels.channels,
        size=pixels.size,
        outputs=(),
        external=external,
        links=links,
        said=tuple(said),
    )
    return _with_outputs(network, path)


def shown(shape: Sequence[int | None]) -> str:
    """A shape for a message: `[N,3,224,224]`."""
    free = ("N", *["?"] * len(shape))
    return f"[{','.join(name if length is None else str(length) for length, name in zip(shape, free, strict=False))}]"


def value_of(info: Any) -> Value:
    """The declared name, elements and shape of an input or output; a missing shape has no dimensions."""
    tensor = info.type.tensor_type
    names = {number: name.lower() for name, number in onnx.TensorProto.DataType.items()}
    dtype = _DTYPES.get(tensor.elem_type) or names.get(tensor.elem_type, "of an unknown type")
    lengths = tuple(dim.dim_value if dim.dim_value > 0 else None for dim in tensor.shape.dim)
    return Value(name=info.name, dtype=dtype, shape=lengths)


def _loaded(path: Path) -> Any:
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise ConfigurationError(f"{path}: it is a device or a pipe; name the network's ONNX file")
        model = onnx.ModelProto.FromString(path.read_bytes())
    except OSError as no:
        raise ConfigurationError(f"{path}: it cannot be read ({no.strerror}); name the network's ONNX file") from no
    except google.protobuf.message.DecodeError as error:
        why = why_not_loaded(path, ValueError(f"Protobuf parsing failed: {error}"))
        raise ConfigurationError(f"{path}: this is no network in ONNX: {why}") from error
    if not model.graph.node or not model.ir_version:  # some other protobufs parse as an ONNX model without a graph
        why = why_not_loaded(path, ValueError("Protobuf parsing failed: there is no graph in it"))
        raise ConfigurationError(f"{path}: this is no network in ONNX: {why}")
    return model


def _inlined(model: Any, path: Path) -> Any:
    try:
        return onnx.inliner.inline_local_functions(model)
    except Exception as error:
        raise ConfigurationError(f"{path}: its own functions cannot be put into its graph: {error}") from error


def _opset(model: Any, path: Path) -> int:
    opset = next((entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"}), 0)
    if opset == 0:  # nodes of other domains only; head and tail are of this one
        opset = 13
        model.opset_import.append(onnx.helper.make_opsetid("", opset))
    if opset < OLDEST_OPSET:
        raise ConfigurationError(
            f"{path}: it is in opset {opset}, and the oldest that can be built on is {OLDEST_OPSET}; export it again "
            "with opset 13 or later, or convert it by onnx.version_converter.convert_version(model, 13)"
        )
    imports = {"" if entry.domain == "ai.onnx" else entry.domain: entry.version for entry in model.opset_import}
    imports[""] = opset
    del model.opset_import[:]  # skl2onnx lists domains twice
    model.opset_import.extend(onnx.helper.make_opsetid(domain, imports[domain]) for domain in sorted(imports))
    return int(opset)


def _without_weights(model: Any) -> int:
    """Remove the weights from the inputs of `model` (they had to be both up to IR 3); return how many there were."""
    weights = {tensor.name for tensor in model.graph.initializer}
    weights |= {tensor.values.name for tensor in model.graph.sparse_initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    removed = len(model.graph.input) - len(inputs)
    if removed:
        del model.graph.input[:]
        model.graph.input.extend(inputs)
    model.ir_version = max(model.ir_version, OLDEST_IR)
    return removed


def _input(model: Any, path: Path) -> Value:
    if len(model.graph.input) != 1:
        names = ", ".join(f"'{value.name}'" for value in model.graph.input) or "none"
        raise ConfigurationError(
            f"{path}: a classifier takes one input, an image; this network takes {len(model.graph.input)} ({names}); "
            "export it with the others as constants"
        )
    info = model.graph.input[0]
    if not info.type.HasField("tensor_type"):
        raise ConfigurationError(f"{path}: its input '{info.name}' is no tensor; export a network that takes an image")
    taken = value_of(info)
    if taken.dtype not in {"float32", "float16", "uint8"}:
        raise ConfigurationError(
            f"{path}: its input {taken.described()} cannot be an image: pixels are float32, float16 or uint8; export "
            "the network in float32"
            + (", or take one of images: this one may take text" if "int" in taken.dtype else "")
        )
    return taken


def _set_batch_name(graph: Any) -> None:
    """Call a free batch N; some exporters leave it without a name, or write 0 or -1."""
    dim = graph.input[0].type.tensor_type.shape.dim[0]
    if dim.dim_value <= 0:
        dim.dim_param = "N"


def _with_outputs(network: Network, path: Path) -> Network:
    """`network` with its tensors among the outputs; their shapes are taken from a run where they are not declared."""
    tensors = [info for info in network.model.graph.output if info.type.HasField("tensor_type")]
    outputs = [value_of(info) for info in tensors]
    others = [info.name for info in network.model.graph.output if not info.type.HasField("tensor_type")]
    if others and not any(value.dtype.startswith("float") for value in outputs):
        raise ConfigurationError(
            f"{path}: its output '{others[0]}' is a list or a dictionary of scores, no tensor, as skl2onnx makes by "
            "default; convert the model again by to_onnx(..., options={'zipmap': False})"
        )
    del network.model.graph.output[:]
    network.model.graph.output.extend(tensors)
    if any(not value.shape or None in value.shape[1:] for value in outputs):
        outputs = _as_run(outputs, network, path)
    return replace(network, outputs=tuple(outputs))


def _as_run(outputs: Sequence[Value], network: Network, path: Path) -> list[Value]:
    """`outputs` with the shapes of a run; the first dimension stays free where the input's is."""
    feeds = {network.input.name: noise(network.input_shape(1), network.input.dtype)}
    try:
        arrays = run(session(network.model, network.external), feeds)
    except Exception as error:  # the runtime raises a dozen unrelated types
        raise ConfigurationError(
            f"{path}: onnxruntime cannot run this network on an input {shown(network.input_shape(1))}: "
            f"{why_not_loaded(path, error)}"
        ) from error
    found = []
    for value in outputs:
        real: Shape = arrays[value.name].shape
        if real and network.batch is None:
            real = (value.shape[0] if value.shape else None, *real[1:])
        found.append(replace(value, shape=real))
    return found
