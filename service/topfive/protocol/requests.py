"""An inference request, by REST or gRPC, and the checks that it must pass before any work is done for it.

Nothing here allocates memory by a number from a client: sizes are first compared as exact integers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from topfive.ground.errors import MalformedRequest, UnknownModel
from topfive.ground.types import TensorSpec
from topfive.images.decoding import ImageLimits, RawShape
from topfive.models.served import ServedModel
from topfive.protocol.parameters import (
    flag_of,
    is_count,
    refuse_classification,
    refuse_shared_memory,
    shown,
)
from topfive.request.sources import Body, EncodedImages

FILES: Final = "BYTES"
"""The datatype of image files; every model takes it beside the datatype of its own input."""
_MAX_DIMENSION: Final = (1 << 63) - 1
_MAX_ID_CHARACTERS: Final = 4096
_MAX_VERSION_DIGITS: Final = 18


@dataclass(frozen=True, slots=True)
class RequestedOutput:
    """An output that the answer must have; `binary`: as raw bytes rather than as JSON."""

    spec: TensorSpec
    binary: bool


@dataclass(frozen=True, slots=True)
class InferRequest:
    """What a request asks of a model. `body` holds the images as `source` says: pixels row by row, or files.

    `timeout_seconds`: how long the request may take, None if it does not say. `priority`: 1 is the best, 0 stands for
    the model's default.
    """

    copied_bytes = 0

    id: str | None
    source: RawShape | EncodedImages
    body: Body
    outputs: Sequence[RequestedOutput]
    timeout_seconds: float | None
    priority: int


def version_of(text: str | None) -> int | None:
    """The version that a path or a message names; None for any.

    Raises `UnknownModel` if it is not a number: there is no such version.
    """
    if text is None:
        return None
    # int() alone would also accept "+1", "1_0", " 1" and digits of other scripts.
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_VERSION_DIGITS):
        raise UnknownModel(f"version '{text[:50]}' is not served; versions are plain numbers")
    return int(text)


def id_of(given: Any) -> str | None:
    """The `id` of a request, None if it has none; raises `MalformedRequest`."""
    if given is None or (isinstance(given, str) and len(given) <= _MAX_ID_CHARACTERS):
        return given
    raise MalformedRequest(f"'id' must be a string of at most {_MAX_ID_CHARACTERS} characters")


def check_one_input(model: ServedModel, names: Sequence[Any]) -> None:
    """Raise `MalformedRequest` unless a request, whose inputs have these `names`, has exactly one input."""
    if len(names) == 1:
        return
    for name in names:
        check_name(model, name)
    raise MalformedRequest(
        f"expected 1 input but got {len(names)} for model '{model.name}'; send '{model.image.name}' once"
    )


def check_input(
    model: ServedModel, limits: ImageLimits, *, name: Any, datatype: Any, shape: Any
) -> RawShape | EncodedImages:
    """The kind of images in the described input; raises `MalformedRequest` or `TooLarge` if `model` does not take it.

    Beside its own datatype, every model takes BYTES, whose elements are image files.
    """
    spec = model.image
    check_name(model, name)
    if datatype not in (spec.datatype, FILES):
        raise MalformedRequest(
            f"input '{name}' has the datatype {shown(datatype)}, but model '{model.name}' takes '{spec.datatype}', or "
            f"'{FILES}' whose elements are image files"
        )
    if not isinstance(shape, list) or not all(_is_size(size) for size in shape):
        raise MalformedRequest(f"the shape of input '{name}' must be a list of whole numbers of at least 0")
    if datatype == FILES:
        if not 1 <= len(shape) <= 2 or shape[1:] not in ([], [1]):
            raise MalformedRequest(
                f"input '{name}' has the shape {shown(shape)}, but image files as BYTES have [images] or [images, 1]"
            )
        _check_count(model, limits, shape[0])
        return EncodedImages([f"element {index} of input '{name}'" for index in range(shape[0])])
    fits = len(shape) == len(spec.shape) and all(
        wanted in (-1, size) for size, wanted in zip(shape, spec.shape, strict=True)
    )
    if not fits:
        raise MalformedRequest(
            f"input '{name}' has the shape {shown(shape)}, but model '{model.name}' takes {list(spec.shape)} "
            "(images, height, width, channels; -1 for any)"
        )
    count, height, width, _ = shape
    _check_count(model, limits, count)
    raw = RawShape(height, width, count)
    raw.check(limits)
    return raw


def _check_count(model: ServedModel, limits: ImageLimits, count: int) -> None:
    if count < 1:
        raise MalformedRequest(f"count is {count}; it must be at least 1")
    most = min(model.config.graph_batch_size, limits.max_images)
    if count > most:
        raise MalformedRequest(
            f"inference request batch-size must be <= {most} for '{model.name}', and this has {count} images; "
            "send them in several requests"
        )


def check_name(model: ServedModel, name: Any) -> None:
    """Raise `MalformedRequest` unless `name` is the name of the only input of `model`."""
    if name != model.image.name:
        raise MalformedRequest(
            f"unexpected inference input {shown(name)} for model '{model.name}'; it takes one, '{model.image.name}'"
        )


def check_size(name: str, shape: Sequence[int], given: int) -> None:
    """Raise `MalformedRequest` unless a UINT8 tensor of `shape` has exactly `given` bytes."""
    expected = math.prod(shape)
    if given != expected:
        raise MalformedRequest(
            f"input byte size mismatch for input '{name}': its shape {list(shape)} has {expected} bytes of UINT8, got "
            f"{given}"
        )


def requested_outputs(
    model: ServedModel, asked: Iterable[tuple[Any, Mapping[str, Any]]], *, binary: bool
) -> tuple[RequestedOutput, ...]:
    """The outputs that a request `asked` for, in the model's order; all outputs if it asks for none.

    `binary`: the form of outputs whose parameters do not say it. Raises `MalformedRequest` or `Unsupported`.
    """
    wanted: dict[str, bool] = {}
    for name, parameters in asked:
        spec = _output_spec(model, name)
        if "classification" in parameters:
            refuse_classification()
        if "shared_memory_region" in parameters:
            refuse_shared_memory()
        wanted[spec.name] = flag_of(parameters, "binary_data", default=binary)
    return tuple(
        RequestedOutput(spec, wanted.get(spec.name, binary))
        for spec in model.config.outputs
        if spec.name in wanted or not wanted
    )


def _output_spec(model: ServedModel, name: Any) -> TensorSpec:
    for spec in model.config.outputs:
        if spec.name == name:
            return spec
    names = ", ".join(f"'{spec.name}'" for spec in model.config.outputs)
    raise MalformedRequest(f"unexpected inference output {shown(name)} for model '{model.name}'; it has {names}")


def _is_size(size: Any) -> bool:
    return is_count(size) and size <= _MAX_DIMENSION
