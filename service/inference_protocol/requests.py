"""An inference request, whichever way it came, and the checks that it must pass before anything is done for it.

Nothing here allocates by a number that a client gave: sizes are compared as exact integers first.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from service.errors import MalformedRequest, Unsupported
from service.images import ImageLimits, RawShape
from service.models import ServedModel
from service.types import TensorSpec

MICROSECONDS: Final = 1e-6
_MAX_DIMENSION: Final = (1 << 63) - 1
_MAX_TIMEOUT_MICROSECONDS: Final = (1 << 63) - 1
_MAX_CHARACTERS_SHOWN: Final = 100

_SHORT: Final = reprlib.Repr()
"""`repr` of a client's JSON would fail where it is nested too deeply, and copy all of it where it is large."""
_SHORT.maxlevel = 2
_SHORT.maxstring = _SHORT.maxother = _MAX_CHARACTERS_SHOWN


@dataclass(frozen=True, slots=True)
class RequestedOutput:
    """An output to answer with, and whether as raw bytes rather than as JSON."""

    spec: TensorSpec
    binary: bool


@dataclass(frozen=True, slots=True)
class InferRequest:
    """What is asked of a model: `pixels` hold the images of `shape`, row by row.

    `timeout_seconds`: how long the request may wait, None where it does not say. `priority`: 1 is the highest, 0 the
    model's default.
    """

    id: str | None
    shape: RawShape
    pixels: bytes | memoryview
    outputs: Sequence[RequestedOutput]
    timeout_seconds: float | None
    priority: int


def check_input(model: ServedModel, limits: ImageLimits, *, name: Any, datatype: Any, shape: Any) -> RawShape:
    """What an input so described holds; raises `MalformedRequest` or `TooLarge` unless `model` takes it."""
    spec = model.image
    check_name(model, name)
    if datatype != spec.datatype:
        raise MalformedRequest(
            f"input '{name}' has the datatype {shown(datatype)}, but model '{model.name}' takes '{spec.datatype}'"
        )
    if not isinstance(shape, list) or not all(_is_size(size) for size in shape):
        raise MalformedRequest(f"the shape of input '{name}' must be a list of whole numbers of at least 0")
    fits = len(shape) == len(spec.shape) and all(
        wanted in (-1, size) for size, wanted in zip(shape, spec.shape, strict=True)
    )
    if not fits:
        raise MalformedRequest(
            f"input '{name}' has the shape {shown(shape)}, but model '{model.name}' takes {list(spec.shape)} "
            "(images, height, width, channels; -1 for any)"
        )
    count, height, width, _ = shape
    most = min(model.config.graph_batch_size, limits.max_images)
    if count > most:
        raise MalformedRequest(
            f"inference request batch-size must be <= {most} for '{model.name}', and this has {count} images; "
            "send them in several requests"
        )
    raw = RawShape(height, width, count)
    raw.check(limits)
    return raw


def check_name(model: ServedModel, name: Any) -> None:
    """Raise `MalformedRequest` unless `name` is that of the one input of `model`."""
    if name != model.image.name:
        raise MalformedRequest(
            f"unexpected inference input {shown(name)} for model '{model.name}'; it takes one, '{model.image.name}'"
        )


def check_size(name: str, shape: Sequence[int], given: int) -> None:
    """Raise `MalformedRequest` unless `given` bytes are what a UINT8 tensor of `shape` has."""
    expected = math.prod(shape)
    if given != expected:
        raise MalformedRequest(
            f"input byte size mismatch for input '{name}': its shape {list(shape)} has {expected} bytes of UINT8, got "
            f"{given}"
        )


def timeout_of(value: Any) -> float | None:
    """The parameter `timeout`, in microseconds, as seconds; None for 0; raises `MalformedRequest`."""
    if not is_count(value) or value > _MAX_TIMEOUT_MICROSECONDS:
        raise MalformedRequest(f"the parameter 'timeout' must be a whole number of microseconds, not {shown(value)}")
    return value * MICROSECONDS if value else None


def priority_of(value: Any) -> int:
    """The parameter `priority`; raises `MalformedRequest`."""
    if not is_count(value):
        raise MalformedRequest(
            f"the parameter 'priority' must be a whole number, 0 for the default, not {shown(value)}"
        )
    return int(value)


def output_spec(model: ServedModel, name: Any) -> TensorSpec:
    """The output `name` of `model`; raises `MalformedRequest`."""
    for spec in model.config.outputs:
        if spec.name == name:
            return spec
    names = ", ".join(f"'{spec.name}'" for spec in model.config.outputs)
    raise MalformedRequest(f"unexpected inference output {shown(name)} for model '{model.name}'; it has {names}")


def refuse_classification() -> None:
    """Raise `Unsupported` for the `classification` extension."""
    raise Unsupported(
        "the classification extension is not offered; the model answers with the labels of its best classes itself"
    )


def refuse_shared_memory() -> None:
    """Raise `Unsupported` for tensors in shared memory."""
    raise Unsupported("shared memory is not offered; send the tensor in the request")


def is_count(value: Any) -> bool:
    """Whether `value` is a whole number of at least 0; in Python a bool would be one too."""
    return type(value) is int and value >= 0


def shown(value: Any) -> str:
    """`value` for a message, cut short."""
    text = _SHORT.repr(value)
    return text if len(text) <= _MAX_CHARACTERS_SHOWN else text[:_MAX_CHARACTERS_SHOWN] + "…"


def _is_size(size: Any) -> bool:
    return is_count(size) and size <= _MAX_DIMENSION
