"""Builds the second graph (224 x 224 crops in, five labels with probabilities out), and joins both graphs into one.

The network itself comes from `network`, the class names from `labels`.
"""

from collections import Counter
from collections.abc import Sequence

import onnx
import onnx.compose
import onnx.parser

from pipeline.layout import CLASSIFY_NAME
from pipeline.resize_graph import IR_VERSION, OPSET

SINGLE_NAME = "efficientnet_lite0_single"

# Transposing bytes moves a quarter of the memory that floats would. (x - 127) / 128 is exact in FP32: an integer of few
# bits times a power of 2.
_HEAD = f"""
<ir_version: {IR_VERSION}, opset_import: ["" : {OPSET}]>
head (uint8[N, 224, 224, 3] pixels) => (float[N, 3, 224, 224] normalised)
<float middle = {{127.0}}, float step = {{0.0078125}}>
{{
  planes = Transpose <perm = [0, 3, 1, 2]> (pixels)
  levels = Cast <to = 1> (planes)
  centred = Sub (levels, middle)
  normalised = Mul (centred, step)
}}
"""

_TAIL = f"""
<ir_version: {IR_VERSION}, opset_import: ["" : {OPSET}]>
tail (float[N, 1000] logits)
  => (string[N, 5] classes, float[N, 5] probabilities, int64[N, 5] indices)
<int64[1] five = {{5}}>
{{
  all_probabilities = Softmax <axis = 1> (logits)
  probabilities, indices = TopK <axis = 1, largest = 1, sorted = 1> (all_probabilities, five)
  classes = Gather <axis = 0> (labels, indices)
}}
"""


def build(network: onnx.ModelProto, *, labels: Sequence[str]) -> onnx.ModelProto:
    """Join head, `network` (FP32 [N,3,224,224] -> FP32 [N,1000]) and tail.

    Return the graph `pixels` UINT8 [N,224,224,3] -> `classes` STRING [N,5], `probabilities` FP32 [N,5], `indices`
    INT64 [N,5], the most probable first.
    """
    tail = onnx.parser.parse_model(_TAIL)
    names = [label.encode() for label in labels]
    tail.graph.initializer.append(onnx.helper.make_tensor("labels", onnx.TensorProto.STRING, [len(names)], names))
    model = onnx.parser.parse_model(_HEAD)
    model = onnx.compose.merge_models(model, network, io_map=[("normalised", "normalised")])
    model = onnx.compose.merge_models(model, tail, io_map=[("logits", "logits")])
    return _tidied(model, name=CLASSIFY_NAME)


def join(resize: onnx.ModelProto, *, classify: onnx.ModelProto) -> onnx.ModelProto:
    """Return one graph `image` UINT8 [N,H,W,3] -> the outputs of `classify`."""
    prefixed = onnx.compose.add_prefix(resize, "resize_", rename_inputs=False, rename_outputs=False)
    model = onnx.compose.merge_models(prefixed, classify, io_map=[("pixels", "pixels")])
    model.graph.name = SINGLE_NAME
    return model


def _tidied(model: onnx.ModelProto, *, name: str) -> onnx.ModelProto:
    """Strip the exporter's leftovers (stack traces with paths, counters), and name each value after its node."""
    graph = onnx.GraphProto()
    public = {value.name for value in [*model.graph.input, *model.graph.output]}
    weights = {tensor.name for tensor in model.graph.initializer}
    counted: Counter[str] = Counter()
    renamed: dict[str, str] = {}
    for node in model.graph.node:
        counted[node.op_type] += 1
        stem = f"{node.op_type.lower()}_{counted[node.op_type]}"
        for position, output in enumerate(node.output):
            if output not in public:
                renamed[output] = stem if position == 0 else f"{stem}_{position}"
        graph.node.append(
            onnx.NodeProto(
                op_type=node.op_type,
                name=stem,
                input=[renamed.get(value, value) for value in node.input],
                output=[renamed.get(value, value) for value in node.output],
                attribute=node.attribute,
            )
        )
    if clash := weights & set(renamed.values()):
        raise RuntimeError(f"values would take the names of weights: {sorted(clash)}")
    for tensor in model.graph.initializer:
        tensor.doc_string = ""
        del tensor.metadata_props[:]
    for value in [*model.graph.input, *model.graph.output]:
        value.doc_string = ""
        del value.metadata_props[:]
    graph.name = name
    graph.initializer.extend(model.graph.initializer)
    graph.input.extend(model.graph.input)
    graph.output.extend(model.graph.output)
    return onnx.helper.make_model(graph, ir_version=IR_VERSION, opset_imports=[onnx.helper.make_opsetid("", OPSET)])
