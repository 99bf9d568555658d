"""Inference requests of the Open Inference Protocol over HTTP, in JSON and with the binary tensor extension."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from topfive_loadgen.http1 import render

IMAGE = "image"
JSON_SENSIBLE_BYTES = 1_000_000  # JSON numbers take four times as many bytes as pixels


def infer(
    model: str,
    pixels: npt.NDArray[np.uint8],
    *,
    binary: bool,
    name: str = IMAGE,
    parameters: Mapping[str, Any] | None = None,
) -> bytes:
    """The HTTP request for pixels [N,H,W,3]; a binary request also asks for binary outputs."""
    head, tail = infer_parts(pixels, binary=binary, name=name, parameters=parameters)
    return wrap(model, head, tail)


def infer_parts(
    pixels: npt.NDArray[np.uint8],
    *,
    binary: bool,
    name: str = IMAGE,
    parameters: Mapping[str, Any] | None = None,
) -> tuple[bytes, bytes]:
    """The JSON of a request, and the binary tensor behind it."""
    tensor: dict[str, Any] = {"name": name, "shape": pixels.shape, "datatype": "UINT8"}
    if binary:
        tensor["parameters"] = {"binary_data_size": pixels.nbytes}
        parameters = {**(parameters or {}), "binary_data_output": True}
    else:
        tensor["data"] = pixels.ravel().tolist()
    document = {"inputs": [tensor], **({"parameters": parameters} if parameters else {})}
    return json.dumps(document).encode(), pixels.tobytes() if binary else b""


def wrap(model: str, head: bytes, tail: bytes, *, length: str | None = None, **headers: str) -> bytes:
    """JSON and tensor as an HTTP request; `length` replaces the true length of the JSON in its header."""
    if tail or length is not None:
        headers["Inference_Header_Content_Length"] = str(len(head)) if length is None else length
    media_type = "application/octet-stream" if tail else "application/json"
    return render("POST", f"/v2/models/{model}/infer", head + tail, Content_Type=media_type, **headers)
