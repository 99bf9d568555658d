"""Makes a request of an image in each scenario, and decodes files. `corpus` chooses the images."""

from __future__ import annotations

import io
import json
from typing import Final
from urllib.parse import quote, urlencode

import numpy as np
from PIL import Image, ImageOps
from tritonclient.grpc import service_pb2

from loadtests.oracle import Oracle, Pixels
from loadtests.queries import CLASSES, Query, Scenario
from loadtests.results import Mix

GRPC_BYTES: Final = 16_000_000
"""Pixels above this are not sent over gRPC: topfive takes messages of 16 MiB unless it is told otherwise."""

_RAW: Final = "application/octet-stream"
_MEDIA_TYPES: Final = {b"\xff\xd8": "image/jpeg", b"\x89P": "image/png"}
_HIGH_BYTE: Final = 8


def query(
    mix: Mix,
    scenario: Scenario,
    kind: str,
    *,
    pixels: Pixels,
    file: bytes | None,
    expected: str,
    oracle: Oracle,
) -> Query:
    """A query of a scenario: `jpeg` sends the file, all other scenarios the pixels."""
    if scenario == "jpeg":
        assert file is not None
        path, headers, body = _file(file, oracle.model)
    elif scenario == "raw":
        path, headers, body = _raw(pixels, oracle.model)
    elif scenario == "oip":
        path, headers, body = _oip(pixels, oracle)
    else:
        path, headers, body = "/inference.GRPCInferenceService/ModelInfer", {}, _grpc(pixels, oracle)
    return Query(mix=mix, scenario=scenario, kind=kind, path=path, headers=headers, body=body, expected=expected)


def decode(file: bytes) -> Pixels:
    """The upright RGB pixels of a file, by topfive's documented rules: 16-bit grey keeps its high byte."""
    with Image.open(io.BytesIO(file)) as image:
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I;16"):
            upright = Image.fromarray((np.asarray(upright) >> _HIGH_BYTE).astype(np.uint8))
        return np.asarray(upright.convert("RGB"))


def _file(file: bytes, model: str) -> tuple[str, dict[str, str], bytes]:
    return f"/v1/classify?{urlencode({'model': model})}", {"Content-Type": _MEDIA_TYPES[file[:2]]}, file


def _raw(pixels: Pixels, model: str) -> tuple[str, dict[str, str], bytes]:
    height, width, _ = pixels.shape
    asked = urlencode({"height": height, "width": width, "model": model})
    return f"/v1/classify?{asked}", {"Content-Type": _RAW}, pixels.tobytes()


def _oip(pixels: Pixels, oracle: Oracle) -> tuple[str, dict[str, str], bytes]:
    """Target, headers and body of an inference request, as `tritonclient.http` writes them, for one binary output."""
    head = {
        "inputs": [
            {
                "name": oracle.input,
                "shape": [1, *pixels.shape],
                "datatype": "UINT8",
                "parameters": {"binary_data_size": pixels.nbytes},
            }
        ],
        "outputs": [{"name": CLASSES, "parameters": {"binary_data": True}}],
    }
    written = json.dumps(head).encode()
    headers = {"Content-Type": _RAW, "Inference-Header-Content-Length": str(len(written))}
    return f"/v2/models/{quote(oracle.model)}/infer", headers, written + pixels.tobytes()


def _grpc(pixels: Pixels, oracle: Oracle) -> bytes:
    request = service_pb2.ModelInferRequest(model_name=oracle.model)
    tensor = request.inputs.add(name=oracle.input, datatype="UINT8")
    tensor.shape.extend([1, *pixels.shape])
    request.outputs.add(name=CLASSES)
    request.raw_input_contents.append(pixels.tobytes())
    written: bytes = request.SerializeToString()
    return written
