"""The `config.pbtxt` of a model's three folders, with comments: people edit them to tune the model.

What lives here: the texts, and whether a further version fits what is there. What does not: the files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from topfive.ground.errors import ConfigurationError
from topfive.repository.model_config import ModelConfig, parse_model_config
from topfive_pipeline.entry.names import INT8_GRAPH, classify_name, resize_name
from topfive_pipeline.preprocessing.rules import Size

_IMAGE: Final = """\
  {
    name: "image"  # RGB
    data_type: TYPE_UINT8
    dims: [ -1, -1, 3 ]  # height, width, channel
  }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What the configurations depend on: the crop's size, the labels in an answer, the embedding's length if any."""

    crop: Size
    labels: int
    embedding: int | None = None


def config_texts(name: str, shape: Shape) -> dict[str, str]:
    """The text of each config.pbtxt, by the name of its folder."""
    height, width = shape.crop
    pixels = f'  {{\n    name: "pixels"  # RGB\n    data_type: TYPE_UINT8\n    dims: [ {height}, {width}, 3 ]\n  }}\n'
    outputs = _outputs(shape)
    steps = {"classes": "", "probabilities": "", "indices": ""} | ({"embedding": ""} if shape.embedding else {})
    mapped = "\n".join(f'      output_map {{ key: "{each}" value: "{each}" }}' for each in steps)
    return {
        resize_name(name): f"""\
# Any image in, its crop of {height} x {width} out. A request may carry several images of one size; images of other
# sizes cannot be stacked, so there is no dynamic_batching here.
name: "{resize_name(name)}"
backend: "onnxruntime"
max_batch_size: 16

input [
{_IMAGE}]
output [
{pixels}]

# No count: whoever serves chooses it for the machine.
instance_group [ {{ kind: KIND_CPU }} ]
""",
        classify_name(name): f"""\
# Crops in, labels with their probabilities out. All crops have one size, so all requests batch.
name: "{classify_name(name)}"
backend: "onnxruntime"
max_batch_size: 16

input [
{pixels}]
output [
{outputs}]

# A batch leaves as soon as an instance is free: waiting for company costs latency and, on a CPU, gains nothing. Of two
# priorities the better is everybody's: a client can give way to others, but not push in.
dynamic_batching {{
  max_queue_delay_microseconds: 0
  priority_levels: 2
  default_priority_level: 1
  default_queue_policy {{ max_queue_size: 256 }}
}}

# A GPU if there is one. No count and no thread parameters: whoever serves chooses them for the machine.
instance_group [ {{ kind: KIND_AUTO }} ]
""",
        name: f"""\
# What clients call: any image in, its most probable labels out.
name: "{name}"
platform: "ensemble"
max_batch_size: 16

input [
{_IMAGE}]
output [
{outputs}]

ensemble_scheduling {{
  step [
    {{
      model_name: "{resize_name(name)}"
      model_version: -1  # the latest
      input_map {{ key: "image" value: "image" }}
      output_map {{ key: "pixels" value: "pixels" }}
    }},
    {{
      model_name: "{classify_name(name)}"
      model_version: -1
      input_map {{ key: "pixels" value: "pixels" }}
{mapped}
    }}
  ]
}}
""",
    }


def with_int8(text: str, *, name: str, where: str) -> str:
    """The config.pbtxt `text` of the model `name`, with the name of its int8 graph; all else in it stays as it is.

    Raises `ConfigurationError` if it names another.
    """
    there = parse_model_config(text, name=name, where=where).int8_filename
    if there == INT8_GRAPH:
        return text
    if there:
        raise ConfigurationError(
            f"{where}: parameters int8_model_filename is '{there}', and what is written now is called {INT8_GRAPH}; "
            "rename the files of that name and change the parameter, then try again"
        )
    return f"""\
{text.rstrip()}

# Where the processor multiplies bytes fast, topfive serves the graph of this name instead, if the version has one.
# Triton serves model.onnx.
parameters {{ key: "int8_model_filename" value {{ string_value: "{INT8_GRAPH}" }} }}
"""


def check_same_interface(there: str, wanted: str, *, name: str, where: str) -> None:
    """Raise `ConfigurationError` if a version that needs the config.pbtxt `wanted` cannot be served with `there`.

    Both are texts of the model `name`; `where` is the path of `there`. Only tensors and steps must be equal: the rest
    is the operator's.
    """
    ours, theirs = (parse_model_config(text, name=name, where=where) for text in (wanted, there))
    for part in ("inputs", "outputs", "steps"):
        if getattr(ours, part) != getattr(theirs, part):
            raise ConfigurationError(
                f"{where}: the new version has other {part} ({_shown(ours, part)}) than the versions that are there "
                f"({_shown(theirs, part)}); import it under another --name, or with --replace in place of them"
            )


def _shown(config: ModelConfig, part: str) -> str:
    if part == "steps":
        return ", ".join(step.model for step in config.steps)
    return ", ".join(f"{tensor.name} {tensor.datatype} {list(tensor.shape)[1:]}" for tensor in getattr(config, part))


def _outputs(shape: Shape) -> str:
    tensors = [
        ("classes", "STRING", shape.labels, "all of them: labels.txt of the ensemble"),
        ("probabilities", "FP32", shape.labels, "in descending order"),
        ("indices", "INT64", shape.labels, "position in labels.txt, from 0"),
    ]
    if shape.embedding:
        tensors.append(("embedding", "FP32", shape.embedding, "a vector for each image"))
    parts = [
        f'  {{\n    name: "{name}"  # {comment}\n    data_type: TYPE_{kind}\n    dims: [ {size} ]\n  }}'
        for name, kind, size, comment in tensors
    ]
    return ",\n".join(parts) + "\n"
