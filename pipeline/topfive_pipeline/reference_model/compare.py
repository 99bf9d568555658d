"""Compares two exported graphs, part by part and by their outputs, and reports the differences in words.

`verify` chooses the files and judges the result.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx

from topfive_pipeline.entry.provenance import properties_of
from topfive_pipeline.proof.running import Graph

WEIGHT_TOLERANCE = 1e-6
"""Relative, about 8 float32 ulps: folding a batch normalisation takes a few roundings."""

WEIGHT_FLOOR = 1e-7
"""Absolute, for biases: they are small differences of larger numbers."""

PROBABILITY_TOLERANCE = 1e-5
"""The effect of the weight tolerances after fifty convolutions."""

PIXEL_TOLERANCE = 1
"""In grey levels: a value between two levels may be rounded either way."""

_OF_THE_MACHINE = {"network.sha256"}
"""Properties that differ with the last bits of folded weights."""


def graph_differences(ours: onnx.ModelProto, *, theirs: onnx.ModelProto) -> Iterator[str]:
    """Yield a sentence for each part of `ours` that differs from `theirs`: header, metadata, nodes, weights."""
    yield from _header_differences(ours, theirs=theirs)
    if len(ours.graph.node) != len(theirs.graph.node):
        yield f"has {len(ours.graph.node)} nodes, not {len(theirs.graph.node)}"
    for position, (our, their) in enumerate(zip(ours.graph.node, theirs.graph.node, strict=False)):
        if our != their:
            yield f"node {position} is {onnx.helper.printable_node(our)}, not {onnx.helper.printable_node(their)}"

    our_weights, their_weights = ({w.name: w for w in m.graph.initializer} for m in (ours, theirs))
    for name in sorted({*our_weights, *their_weights}):
        if name not in our_weights or name not in their_weights:
            yield f"weight {name} is {'missing' if name not in our_weights else 'not of the recipe'}"
        else:
            yield from _weight_differences(our_weights[name], theirs=their_weights[name])


def output_differences(ours: Path, *, theirs: Path) -> Iterator[str]:
    """Yield a sentence for each output that differs between two files on sample images; their signatures are equal.

    The graphs take UINT8 [N,H,W,3]; if H and W are free, the samples are 375 x 500.
    """
    our_graph, their_graph = Graph(ours), Graph(theirs)
    _, height, width, _ = our_graph.shape
    sample = _samples(4, height if isinstance(height, int) else 375, width if isinstance(width, int) else 500)
    for name, our, their in zip(our_graph.outputs, our_graph.run(sample), their_graph.run(sample), strict=True):
        if our.dtype == np.float32:
            worst, tolerance = np.abs(our - their).max(), PROBABILITY_TOLERANCE
        elif our.dtype == np.uint8:
            worst, tolerance = np.abs(our.astype(np.int16) - their).max(), PIXEL_TOLERANCE
        else:
            worst, tolerance = (our != their).sum(), 0
        if worst > tolerance:
            yield f"output {name} is off by {worst:.3g} on sample images, more than {tolerance:g}"


def _header_differences(ours: onnx.ModelProto, *, theirs: onnx.ModelProto) -> Iterator[str]:
    for field in ("ir_version", "opset_import", "producer_name"):
        if _text(ours, field) != _text(theirs, field):
            yield f"{field} is {_text(ours, field)}, not {_text(theirs, field)}"
    for field in ("name", "input", "output"):
        if _text(ours.graph, field) != _text(theirs.graph, field):
            yield f"the graph's {field} is {_text(ours.graph, field)}, not {_text(theirs.graph, field)}"
    our_properties, their_properties = (properties_of(model) for model in (ours, theirs))
    for key in sorted({*our_properties, *their_properties} - _OF_THE_MACHINE):
        if our_properties.get(key) != their_properties.get(key):
            yield f"metadata_props {key} is {our_properties.get(key)!r}, not {their_properties.get(key)!r}"


def _weight_differences(ours: onnx.TensorProto, *, theirs: onnx.TensorProto) -> Iterator[str]:
    our, their = onnx.numpy_helper.to_array(ours), onnx.numpy_helper.to_array(theirs)
    if (our.dtype, our.shape) != (their.dtype, their.shape):
        yield f"weight {ours.name} is {our.dtype}{list(our.shape)}, not {their.dtype}{list(their.shape)}"
    elif our.dtype.kind == "f":
        if not np.allclose(our, their, rtol=WEIGHT_TOLERANCE, atol=WEIGHT_FLOOR):
            yield f"weight {ours.name} is off by up to {np.abs(our - their).max():.3g}"
    elif (our != their).any():
        index = tuple(int(axis[0]) for axis in np.nonzero(our != their))
        yield f"constant {ours.name} has {our[index]!r} at {list(index)}, not {their[index]!r}"


def _text(message: onnx.ModelProto | onnx.GraphProto, field: str) -> str:
    value = getattr(message, field)
    return str(value) if isinstance(value, str | int) else " ".join(" ".join(str(part).split()) for part in value)


def _samples(count: int, height: int, width: int) -> npt.NDArray[np.uint8]:
    """Return images UINT8 [count,height,width,3] with structure at every scale, the same ones every time."""
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[0:height, 0:width][..., np.newaxis]
    phase, frequency = generator.uniform(0, 2 * np.pi, (count, 1, 1, 3)), 2.0 ** -np.arange(1, count + 1)
    waves = np.sin(rows * frequency[:, None, None, None] + columns * 0.1 + phase)
    noise = generator.normal(0, 0.2, waves.shape)
    image: npt.NDArray[np.uint8] = np.clip((waves + noise) * 100 + 128, 0, 255).astype(np.uint8)
    return image
