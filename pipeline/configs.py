"""The `config.pbtxt` of each model. They are kept by hand in `model_repository/`, and never overwritten.

This module copies them for an export into another folder. It also has the text for the whole graph in one file, which
has no folder in the repository.
"""

from pathlib import Path

COMMITTED = Path(__file__).parents[1] / "model_repository"

_SINGLE = """\
# Resize and classification in one graph. Requests batch only with images of their own size; those of the ensemble
# batch whatever their sizes.
name: "%s"
backend: "onnxruntime"
max_batch_size: 16

input [
  {
    name: "image"  # RGB
    data_type: TYPE_UINT8
    dims: [ -1, -1, 3 ]  # height, width, channel
  }
]
output [
  {
    name: "classes"
    data_type: TYPE_STRING
    dims: [ 5 ]
  },
  {
    name: "probabilities"  # of all 1000 classes, the five largest, in descending order
    data_type: TYPE_FP32
    dims: [ 5 ]
  },
  {
    name: "indices"
    data_type: TYPE_INT64
    dims: [ 5 ]
  }
]

dynamic_batching {
  max_queue_delay_microseconds: 0
  default_queue_policy { max_queue_size: 256 }
}

instance_group [ { kind: KIND_CPU } ]
"""


def add_missing(repository: Path) -> None:
    """Give every model of `repository` that has no config.pbtxt the committed one."""
    for source in sorted(COMMITTED.glob("*/config.pbtxt")):
        target = repository / source.relative_to(COMMITTED)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())


def add_single(model: Path) -> None:
    """Give the whole graph in the folder `model` a config.pbtxt, if it has none."""
    path = model / "config.pbtxt"
    if not path.exists():
        path.write_text(_SINGLE % model.resolve().name, encoding="utf-8", newline="\n")
