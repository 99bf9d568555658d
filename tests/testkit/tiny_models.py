"""Model repositories for tests: graphs of a few operators that load at once and say what they were given.

What lives here: such graphs, written in ONNX's protobuf wire format so that tests need no exporter, their
`config.pbtxt`, and copies of the real repository.

The classifier labels an image whose brightest value is v with "value v", "value v+1" and so on; above 240 it fails.
"""

from __future__ import annotations

import shutil
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tests.testkit.serving_process import ROOT

REAL_REPOSITORY: Final = ROOT / "model_repository"
HIGHEST_VALUE: Final = 240
"""The brightest image that the tiny classifier can label."""
PROBABILITIES: Final = (0.5, 0.25, 0.125, 0.0625, 0.03125)

_FLOAT, _UINT8, _INT32, _INT64, _STRING, _BOOL, _HALF, _DOUBLE = 1, 2, 6, 7, 8, 9, 10, 11
_TYPE_NAMES: Final = {
    _FLOAT: "FP32",
    _UINT8: "UINT8",
    _INT32: "INT32",
    _INT64: "INT64",
    _STRING: "STRING",
    _BOOL: "BOOL",
    _HALF: "FP16",
    _DOUBLE: "FP64",
}

Tensor = tuple[str, int, tuple[int, ...]]
"""Name, type and shape of a graph's input or output; -1 is a free dimension."""

IMAGE: Final[Tensor] = ("image", _UINT8, (-1, -1, -1, 3))
PIXELS: Final[Tensor] = ("pixels", _UINT8, (-1, 2, 2, 3))
CLASSES: Final[Tensor] = ("classes", _STRING, (-1, 5))
OUTPUTS: Final[tuple[Tensor, ...]] = (
    CLASSES,
    ("probabilities", _FLOAT, (-1, 5)),
    ("indices", _INT64, (-1, 5)),
)


DIRECTIONS: Final = (1.0, -1.0, 0.5, 2.0)
FURTHER: Final[tuple[Tensor, ...]] = (
    ("embedding", _FLOAT, (-1, 4)),
    ("tags", _STRING, (-1, 2)),
    ("halves", _HALF, (-1, 4)),
    ("doubles", _DOUBLE, (-1, 4)),
    ("rounded", _INT32, (-1, 4)),
    ("bright", _BOOL, (-1, 4)),
    ("grey", _UINT8, (-1, 1)),
)
"""What the classifier can put out beside its labels, by `further` of an image whose brightest value is known."""


def further(value: int) -> dict[str, list[Any]]:
    """The further outputs for an image whose brightest value is `value`."""
    embedding = [value * direction for direction in DIRECTIONS]
    return {
        "embedding": embedding,
        "tags": [f"value {value}", f"value {value + 1}"],
        "halves": embedding,
        "doubles": embedding,
        "rounded": [int(number) for number in embedding],
        "bright": [bool(number) for number in embedding],
        "grey": [value],
    }


def classifier_graph(
    image: Tensor = PIXELS,
    outputs: Sequence[Tensor] = OUTPUTS,
    *,
    labels: int = HIGHEST_VALUE + 5,
    prefix: str = "value",
) -> bytes:
    """UINT8 [N, H, W, 3] in; classes, probabilities and indices out, by the rule above. Below 5 `labels` it fails."""
    return _model(
        [
            _node("Cast", [image[0]], "numbers", to=_INT64),
            _node("ReduceMax", ["numbers"], "brightest", axes=[1, 2, 3], keepdims=0),
            _node("Unsqueeze", ["brightest", "one"], "column"),
            *_labelling(),
        ],
        initializers=_label_constants(labels, prefix),
        inputs=[image],
        outputs=outputs,
    )


def several_labels_graph(labels: int) -> bytes:
    """A classifier of which several labels can be true: those of at least half are put out, the other places are "".

    The probability of "label i" of an image whose brightest value is v is v / 255 - i / 20. It has an embedding too.
    """
    return _model(
        [
            _node("Cast", [PIXELS[0]], "numbers", to=_FLOAT),
            _node("ReduceMax", ["numbers"], "brightest", axes=[1, 2, 3], keepdims=0),
            _node("Unsqueeze", ["brightest", "one"], "column"),
            _node("Mul", ["column", "directions"], "embedding"),
            _node("Div", ["column", "white"], "whiteness"),
            _node("Sub", ["whiteness", "losses"], "scores"),
            _node("Relu", ["scores"], "probabilities"),
            _node("Cast", ["probabilities"], "counts", to=_INT64),
            _node("Mul", ["counts", "zero"], "zeros"),
            _node("Add", ["zeros", "places"], "indices"),
            _node("Gather", ["names", "indices"], "all_classes"),
            _node("GreaterOrEqual", ["probabilities", "half"], "is_true"),
            _node("Where", ["is_true", "all_classes", "nothing"], "classes"),
        ],
        initializers=[
            _constant("one", _INT64, (1,), struct.pack("<q", 1)),
            _constant("zero", _INT64, (), struct.pack("<q", 0)),
            _constant("white", _FLOAT, (), struct.pack("<f", 255)),
            _constant("half", _FLOAT, (), struct.pack("<f", 0.5)),
            _constant("places", _INT64, (1, labels), struct.pack(f"<{labels}q", *range(labels))),
            _constant("losses", _FLOAT, (1, labels), struct.pack(f"<{labels}f", *(i / 20 for i in range(labels)))),
            _constant("directions", _FLOAT, (1, 4), struct.pack("<4f", *DIRECTIONS)),
            _strings("names", [f"label {number}".encode() for number in range(labels)]),
            _strings("nothing", [b""]),
        ],
        inputs=[PIXELS],
        outputs=several_outputs(labels),
    )


def several_outputs(labels: int) -> tuple[Tensor, ...]:
    """The outputs of `several_labels_graph`."""
    return (*((name, kind, (-1, labels)) for name, kind, _ in OUTPUTS), FURTHER[0])


def write_several_repository(repository: Path, *counts: int) -> Path:
    """For each of `counts` an ensemble `of_N`, whose classifier has so many labels, several of which can be true."""
    write_model(repository, "crop", CROP_CONFIG, crop_graph())
    for labels in counts:
        outputs = several_outputs(labels)
        text = config([PIXELS], outputs, BATCHING)
        write_model(repository, f"of_{labels}_classify", text, several_labels_graph(labels))
        write_model(repository, f"of_{labels}", ensemble_config(second=f"of_{labels}_classify", outputs=outputs))
    return repository


def flat_classifier_graph(side: int, outputs: Sequence[Tensor] = OUTPUTS) -> bytes:
    """The classifier for images of `side` x `side` pixels only, though it declares any size, as after a `Flatten`."""
    image: Tensor = ("pixels", _UINT8, (-1, -1, -1, 3))
    return _model(
        [
            _node("Reshape", [image[0], "flat"], "flattened"),
            _node("Cast", ["flattened"], "numbers", to=_INT64),
            _node("ReduceMax", ["numbers"], "brightest", axes=[1], keepdims=0),
            _node("Unsqueeze", ["brightest", "one"], "column"),
            *_labelling(),
        ],
        initializers=[
            _constant("flat", _INT64, (2,), struct.pack("<2q", -1, side * side * 3)),
            *_label_constants(HIGHEST_VALUE + 5, "value"),
        ],
        inputs=[image],
        outputs=outputs,
    )


def _labelling(probabilities_from: str = "float_zeros") -> list[bytes]:
    """From `column`, the brightest value of each image, to the outputs."""
    return [
        _node("Add", ["column", "places"], "indices"),
        _node("Gather", ["labels", "indices"], "classes"),
        _node("Mul", ["indices", "zero"], "zeros"),
        _node("Cast", ["zeros"], "float_zeros", to=_FLOAT),
        _node("Add", [probabilities_from, "shares"], "probabilities"),
        _node("Cast", ["column"], "brightness", to=_FLOAT),
        _node("Mul", ["brightness", "directions"], "embedding"),
        _node("Add", ["column", "pair"], "tagged"),
        _node("Gather", ["labels", "tagged"], "tags"),
        *(_node("Cast", ["embedding"], name, to=kind) for name, kind, _ in FURTHER[2:6]),
        _node("Cast", ["column"], "grey", to=_UINT8),
    ]


def black_is_nan_graph() -> bytes:
    """The classifier, whose probabilities of a black image are 0 divided by 0."""
    return _model(
        [
            _node("Cast", [PIXELS[0]], "numbers", to=_INT64),
            _node("ReduceMax", ["numbers"], "brightest", axes=[1, 2, 3], keepdims=0),
            _node("Unsqueeze", ["brightest", "one"], "column"),
            _node("Cast", ["column"], "divisor", to=_FLOAT),
            _node("Mul", ["divisor", "float_zero"], "dividend"),
            _node("Div", ["dividend", "divisor"], "quotient"),
            *_labelling("quotient"),
        ],
        initializers=[
            _constant("float_zero", _FLOAT, (), struct.pack("<f", 0)),
            *_label_constants(HIGHEST_VALUE + 5, "value"),
        ],
        inputs=[PIXELS],
        outputs=OUTPUTS,
    )


def _label_constants(labels: int, prefix: str) -> list[bytes]:
    return [
        _constant("one", _INT64, (1,), struct.pack("<q", 1)),
        _constant("zero", _INT64, (), struct.pack("<q", 0)),
        _constant("places", _INT64, (1, 5), struct.pack("<5q", *range(5))),
        _constant("directions", _FLOAT, (1, 4), struct.pack("<4f", *DIRECTIONS)),
        _constant("pair", _INT64, (1, 2), struct.pack("<2q", 0, 1)),
        _constant("shares", _FLOAT, (1, 5), struct.pack("<5f", *PROBABILITIES)),
        _strings("labels", [f"{prefix} {value}".encode() for value in range(labels)]),
    ]


def hanging_graph(image: Tensor = PIXELS, outputs: Sequence[Tensor] = OUTPUTS, *, always: bool = False) -> bytes:
    """The classifier, which on an image whose brightest value is 255 is at it for years; or, with `always`, on any."""
    return _model(
        [
            _node("Cast", [image[0]], "given", to=_INT64),
            _node("ReduceMax", ["given"], "all_brightest", keepdims=0),
            _node("Div", ["all_brightest", "white"], "is_white"),
            _node("Add" if always else "Mul", ["is_white", "years"], "turns"),
            _node("ReduceMax", ["given"], "numbers", axes=[1, 2, 3], keepdims=0),
            _node("Loop", ["turns", "", "numbers"], "brightest", body=_turn()),
            _node("Unsqueeze", ["brightest", "one"], "column"),
            *_labelling(),
        ],
        initializers=[
            _constant("white", _INT64, (), struct.pack("<q", 255)),
            _constant("years", _INT64, (), struct.pack("<q", 1 << 60)),
            *_label_constants(HIGHEST_VALUE + 5, "value"),
        ],
        inputs=[image],
        outputs=outputs,
    )


def _turn() -> bytes:
    """The body of a loop that changes nothing."""
    return _graph(
        [_node("Identity", ["goes_on"], "still_goes_on"), _node("Identity", ["before"], "after")],
        initializers=[],
        inputs=[("turn", _INT64, ()), ("goes_on", _BOOL, ()), ("before", _INT64, (-1,))],
        outputs=[("still_goes_on", _BOOL, ()), ("after", _INT64, (-1,))],
    )


def hanging_crop_graph() -> bytes:
    """As `crop_graph`, but it never gets there."""
    return _model(
        [
            _node("Cast", ["image"], "given", to=_INT64),
            _node("ReduceMax", ["given"], "brightest", keepdims=0),
            _node("Add", ["brightest", "years"], "turns"),
            _node("Loop", ["turns", "", "starts"], "corner", body=_turn()),
            _node("Slice", ["image", "corner", "ends", "axes"], "pixels"),
        ],
        initializers=[
            _constant("years", _INT64, (), struct.pack("<q", 1 << 60)),
            _constant("starts", _INT64, (2,), struct.pack("<2q", 0, 0)),
            _constant("ends", _INT64, (2,), struct.pack("<2q", 2, 2)),
            _constant("axes", _INT64, (2,), struct.pack("<2q", 1, 2)),
        ],
        inputs=[IMAGE],
        outputs=[PIXELS],
    )


def unending_graph(*, always: bool = False) -> bytes:
    """As `hanging_graph`, but within one node, which the runtime cannot end: of too many boxes the best are sought."""
    return _model(
        [
            _node("Cast", [PIXELS[0]], "given", to=_INT64),
            _node("ReduceMax", ["given"], "all_brightest", keepdims=0),
            _node("Div", ["all_brightest", "white"], "is_white"),
            _node("Add" if always else "Mul", ["is_white", "many"], "boxes"),
            _node("Unsqueeze", ["boxes", "none"], "number"),
            _node("Concat", ["one", "number", "four"], "corners_shape", axis=0),
            _node("Concat", ["one", "one", "number"], "scores_shape", axis=0),
            _node("ConstantOfShape", ["corners_shape"], "corners"),
            _node("ConstantOfShape", ["scores_shape"], "scores"),
            _node("NonMaxSuppression", ["corners", "scores", "many"], "best"),
            _node("ReduceSum", ["best"], "sum", keepdims=0),
            _node("Mul", ["sum", "zero"], "nothing"),
            _node("ReduceMax", ["given"], "brightest", axes=[1, 2, 3], keepdims=0),
            _node("Unsqueeze", ["brightest", "one"], "bare_column"),
            _node("Add", ["bare_column", "nothing"], "column"),
            *_labelling(),
        ],
        initializers=[
            _constant("white", _INT64, (), struct.pack("<q", 255)),
            _constant("many", _INT64, (), struct.pack("<q", 3_000_000)),
            _constant("none", _INT64, (1,), struct.pack("<q", 0)),
            _constant("four", _INT64, (1,), struct.pack("<q", 4)),
            *_label_constants(HIGHEST_VALUE + 5, "value"),
        ],
        inputs=[PIXELS],
        outputs=OUTPUTS,
    )


def crop_graph(image: Tensor = IMAGE, pixels: Tensor = PIXELS) -> bytes:
    """UINT8 [N, H, W, 3] in, its upper left corner of the size of `pixels` out; what a smaller image lacks is black."""
    sides = pixels[2][1:3]
    return _model(
        [
            _node("Pad", [image[0], "more"], "padded"),
            _node("Slice", ["padded", "starts", "ends", "axes"], pixels[0]),
        ],
        initializers=[
            _constant("more", _INT64, (8,), struct.pack("<8q", 0, 0, 0, 0, 0, *sides, 0)),
            _constant("starts", _INT64, (2,), struct.pack("<2q", 0, 0)),
            _constant("ends", _INT64, (2,), struct.pack("<2q", *sides)),
            _constant("axes", _INT64, (2,), struct.pack("<2q", 1, 2)),
        ],
        inputs=[image],
        outputs=[pixels],
    )


def cutting_graph(image: Tensor = IMAGE, pixels: Tensor = PIXELS) -> bytes:
    """As `crop_graph`, but of an image that is smaller it makes a smaller one, whatever it declares."""
    return _model(
        [_node("Slice", [image[0], "starts", "ends", "axes"], pixels[0])],
        initializers=[
            _constant("starts", _INT64, (2,), struct.pack("<2q", 0, 0)),
            _constant("ends", _INT64, (2,), struct.pack("<2q", *(abs(side) for side in pixels[2][1:3]))),
            _constant("axes", _INT64, (2,), struct.pack("<2q", 1, 2)),
        ],
        inputs=[image],
        outputs=[pixels],
    )


def sized_graph(height: int, width: int, *, pixels: Tensor = PIXELS) -> bytes:
    """UINT8 [N, H, W, 3] in, `height` x `width` pixels of its brightest values out, whatever `pixels` declares."""
    nodes, constants = _hidden(IMAGE[0], (1, height, width, 3))
    return _model(
        [
            *nodes,
            _node("ReduceMax", ["image"], "brightest", axes=[1, 2], keepdims=1),
            _node("Expand", ["brightest", "shape"], pixels[0]),
        ],
        initializers=constants,
        inputs=[IMAGE],
        outputs=[pixels],
    )


def reshaping_graph(pixels: Tensor = PIXELS) -> bytes:
    """Takes images of 2 x 2 pixels only, whatever it declares."""
    nodes, constants = _hidden(IMAGE[0], (-1, 2, 2, 3))
    return _model(
        [*nodes, _node("Reshape", ["image", "shape"], pixels[0])],
        initializers=constants,
        inputs=[IMAGE],
        outputs=[pixels],
    )


def miscounting_graph(labels: int = 5, *, one_row: bool = False, outputs: Sequence[Tensor] = OUTPUTS) -> bytes:
    """A classifier that puts out so many `labels`, and perhaps only `one_row` for a batch, whatever it declares."""
    nodes, constants = _hidden(PIXELS[0], (1, labels))
    return _model(
        [
            *nodes,
            _node("Cast", [PIXELS[0]], "numbers", to=_INT64),
            _node("ReduceMax", ["numbers"], "brightest", axes=[0, 1, 2, 3] if one_row else [1, 2, 3], keepdims=0),
            _node("Unsqueeze", ["brightest", "both" if one_row else "one"], "column"),
            _node("Expand", ["column", "shape"], "indices"),
            _node("Gather", ["labels", "indices"], "classes"),
            _node("Mul", ["indices", "zero"], "zeros"),
            _node("Cast", ["zeros"], "probabilities", to=_FLOAT),
        ],
        initializers=[
            *constants,
            _constant("both", _INT64, (2,), struct.pack("<2q", 0, 1)),
            *_label_constants(HIGHEST_VALUE + 5, "value"),
        ],
        inputs=[PIXELS],
        outputs=outputs,
    )


def _hidden(given: str, shape: Sequence[int]) -> tuple[list[bytes], list[bytes]]:
    """Nodes and constants that make `shape` in a way that the runtime cannot foresee: it believes what is declared."""
    nodes = [
        _node("Cast", [given], "shape_numbers", to=_INT64),
        _node("ReduceMax", ["shape_numbers"], "shape_number", keepdims=0),
        _node("Mul", ["shape_number", "shape_zero"], "shape_nothing"),
        _node("Add", ["shape_nothing", "shape_known"], "shape"),
    ]
    constants = [
        _constant("shape_zero", _INT64, (), struct.pack("<q", 0)),
        _constant("shape_known", _INT64, (len(shape),), struct.pack(f"<{len(shape)}q", *shape)),
    ]
    return nodes, constants


def shrink_graph(image: Tensor = IMAGE, pixels: Tensor = PIXELS) -> bytes:
    """UINT8 [N, H, W, 3] in, 2 x 2 pixels of its brightest values out."""
    return _model(
        [
            _node("ReduceMax", [image[0]], "brightest", axes=[1, 2], keepdims=1),
            _node("Expand", ["brightest", "shape"], pixels[0]),
        ],
        initializers=[_constant("shape", _INT64, (4,), struct.pack("<4q", 1, 2, 2, 3))],
        inputs=[image],
        outputs=[pixels],
    )


def commented(graph: bytes, comment: str = "the same in other bytes") -> bytes:
    """A graph that does what `graph` does, and is another file."""
    doc_string = 6
    return graph + _field(doc_string, comment)


def _declared(tensor: Tensor) -> str:
    name, kind, shape = tensor
    dims = ", ".join(map(str, shape[1:]))
    return f'{{ name: "{name}" data_type: TYPE_{_TYPE_NAMES[kind]} dims: [ {dims} ] }}'


def config(inputs: Sequence[Tensor], outputs: Sequence[Tensor], more: str = "") -> str:
    """A `config.pbtxt` that declares these tensors; `more` is text to append."""
    return (
        'backend: "onnxruntime"\nmax_batch_size: 8\n'
        + "".join(f"input {_declared(tensor)}\n" for tensor in inputs)
        + "".join(f"output {_declared(tensor)}\n" for tensor in outputs)
        + more
    )


def ensemble_config(
    first: str = "crop",
    second: str = "classify",
    crop: str = "pixels",
    more: str = "",
    outputs: Sequence[Tensor] = OUTPUTS,
) -> str:
    """The `config.pbtxt` of an ensemble from `image` through `first` into `second`, joined by the tensor `crop`."""
    declared = "".join(f"output {_declared(tensor)}\n" for tensor in outputs)
    maps = "".join(f'output_map {{ key: "{name}" value: "{name}" }} ' for name, _, _ in outputs)
    return f"""platform: "ensemble" max_batch_size: 8
input {_declared(IMAGE)}
{declared}
ensemble_scheduling {{
  step {{ model_name: "{first}" model_version: -1
         input_map {{ key: "image" value: "image" }} output_map {{ key: "pixels" value: "pixels" }} }}
  step {{ model_name: "{second}" model_version: -1
         input_map {{ key: "pixels" value: "{crop}" }} {maps} }}
}}
{more}"""


BATCHING: Final = "dynamic_batching { }\n"
CLASSIFIER_CONFIG: Final = config([PIXELS], OUTPUTS, BATCHING)
WAITING_CONFIG: Final = config([PIXELS], OUTPUTS, "dynamic_batching { max_queue_delay_microseconds: 3600000000 }\n")
"""Batches leave full or after an hour: on the null backend, for which every size pays, up to 7 images wait."""
CROP_CONFIG: Final = config([IMAGE], [PIXELS])
FURTHER_CONFIG: Final = config([PIXELS], [*OUTPUTS, *FURTHER], BATCHING)


def write_model(
    repository: Path, name: str, config_text: str, graph: bytes | None = None, *, versions: Sequence[int] = (1,)
) -> Path:
    """Put a model into `repository`; its folder."""
    folder = repository / name
    folder.mkdir(parents=True, exist_ok=True)
    for version in versions:
        (folder / str(version)).mkdir(exist_ok=True)
        if graph is not None:
            (folder / str(version) / "model.onnx").write_bytes(graph)
    (folder / "config.pbtxt").write_text(config_text, encoding="utf-8")
    return folder


def write_version(repository: Path, name: str, version: int, graph: bytes) -> None:
    """Put `graph` into place as version `version` of the model `name` at once, as operators are told to."""
    folder = repository / name
    aside = folder / f".{version}.onnx"
    aside.write_bytes(graph)
    (folder / str(version)).mkdir(exist_ok=True)
    aside.replace(folder / str(version) / "model.onnx")


def write_tiny_repository(repository: Path, *, classify_config: str = CLASSIFIER_CONFIG) -> Path:
    """Put an ensemble `tiny` with its `crop` and `classify` into `repository`."""
    write_model(repository, "crop", CROP_CONFIG, crop_graph())
    write_model(repository, "classify", classify_config, classifier_graph())
    write_model(repository, "tiny", ensemble_config())
    return repository


def write_further_repository(repository: Path) -> Path:
    """The ensemble `tiny` whose classifier puts out `FURTHER` too, all of which it passes on."""
    write_tiny_repository(repository)
    outputs = [*OUTPUTS, *FURTHER]
    write_model(repository, "classify", FURTHER_CONFIG, classifier_graph(outputs=outputs))
    write_model(repository, "tiny", ensemble_config(outputs=outputs))
    return repository


def copy_real_repository(repository: Path, *, classify_replacements: dict[str, str]) -> Path:
    """A copy of the served repository with texts of the classifier's `config.pbtxt` replaced."""
    shutil.copytree(REAL_REPOSITORY, repository)
    path = repository / "efficientnet_lite0_classify" / "config.pbtxt"
    text = path.read_text(encoding="utf-8")
    for old, new in classify_replacements.items():
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return repository


def endless_start(repository: Path) -> Path:
    """A copy of the served repository whose warm-up takes hours."""
    warm_up = """model_warmup { name: "endless" count: 1000000 inputs { key: "pixels" value {
      data_type: TYPE_UINT8 dims: [ 224, 224, 3 ] zero_data: true } } }
    """
    return copy_real_repository(repository, classify_replacements={"instance_group": warm_up + "instance_group"})


# Protobuf's wire format, as far as ONNX needs it. The field numbers below are those of onnx.proto.


def _varint(number: int) -> bytes:
    digits = bytearray()
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*digits, number])


def _field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _model(
    nodes: Sequence[bytes], *, initializers: Sequence[bytes], inputs: Sequence[Tensor], outputs: Sequence[Tensor]
) -> bytes:
    graph = _graph(nodes, initializers=initializers, inputs=inputs, outputs=outputs)
    ir_version, opset = 8, 17
    return _field(1, ir_version) + _field(7, graph) + _field(8, _field(1, "") + _field(2, opset))


def _graph(
    nodes: Sequence[bytes], *, initializers: Sequence[bytes], inputs: Sequence[Tensor], outputs: Sequence[Tensor]
) -> bytes:
    return b"".join(
        [
            *(_field(1, node) for node in nodes),
            _field(2, "tiny"),
            *(_field(5, initializer) for initializer in initializers),
            *(_field(11, _value_info(tensor)) for tensor in inputs),
            *(_field(12, _value_info(tensor)) for tensor in outputs),
        ]
    )


def _node(operator: str, inputs: Sequence[str], output: str, **attributes: int | list[int] | bytes) -> bytes:
    parts = [_field(1, name) for name in inputs] + [_field(2, output), _field(4, operator)]
    for name, value in attributes.items():
        integer, graph, integers = 2, 5, 7
        if isinstance(value, bytes):
            parts.append(_field(5, _field(1, name) + _field(6, value) + _field(20, graph)))
        elif isinstance(value, int):
            parts.append(_field(5, _field(1, name) + _field(3, value) + _field(20, integer)))
        else:
            listed = b"".join(_field(8, each) for each in value)
            parts.append(_field(5, _field(1, name) + listed + _field(20, integers)))
    return b"".join(parts)


def _constant(name: str, kind: int, shape: tuple[int, ...], raw: bytes) -> bytes:
    dims = b"".join(_field(1, size) for size in shape)
    return dims + _field(2, kind) + _field(8, name) + _field(9, raw)


def with_weights_beside(file: str) -> bytes:
    """The classifier, whose probabilities are in `file` beside it."""
    raw = struct.pack("<5f", *PROBABILITIES)
    name, dims = _field(8, "shares"), _field(1, 1) + _field(1, 5) + _field(2, _FLOAT)
    inside = _constant("shares", _FLOAT, (1, 5), raw)
    outside = dims + name + _field(13, _field(1, "location") + _field(2, file)) + _field(14, 1)
    constants = _label_constants(HIGHEST_VALUE + 5, "value")
    assert inside in constants
    return _model(
        [
            _node("Cast", [PIXELS[0]], "numbers", to=_INT64),
            _node("ReduceMax", ["numbers"], "brightest", axes=[1, 2, 3], keepdims=0),
            _node("Unsqueeze", ["brightest", "one"], "column"),
            *_labelling(),
        ],
        initializers=[outside if constant == inside else constant for constant in constants],
        inputs=[PIXELS],
        outputs=OUTPUTS,
    )


def _strings(name: str, values: Sequence[bytes]) -> bytes:
    return (
        _field(1, len(values)) + _field(2, _STRING) + _field(8, name) + b"".join(_field(6, value) for value in values)
    )


def _value_info(tensor: Tensor) -> bytes:
    name, kind, shape = tensor
    dims = b"".join(
        _field(1, _field(1, size) if size >= 0 else _field(2, f"d{axis}")) for axis, size in enumerate(shape)
    )
    return _field(1, name) + _field(2, _field(1, _field(1, kind) + _field(2, dims)))
