"""The protocol's parameters of requests, inputs and outputs, as Python values that came in JSON or protobuf.

Each function `…_of` returns what a value means, and raises `MalformedRequest` for a value that it cannot understand.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

from topfive.ground.errors import MalformedRequest, Unsupported

HIGHEST_PRIORITY: Final = 1
"""The best priority that a request can have: its body, which says it, is not known when it is admitted."""
_MICROSECONDS: Final = 1e-6
_MAX_TIMEOUT_MICROSECONDS: Final = (1 << 63) - 1
_MAX_SHOWN: Final = 100
_SCALARS: Final = (str, int, float, bool)
_RESERVED: Final = "triton_"

_SHORT: Final = reprlib.Repr()
"""Used in place of `repr`, which would fail for JSON that is nested too deeply, and copy all of it if it is large."""
_SHORT.maxlevel = 2
_SHORT.maxstring = _SHORT.maxother = _MAX_SHOWN


def check_parameters(parameters: Mapping[str, Any], where: str) -> None:
    """Raise `MalformedRequest` unless each of the `parameters` is a single value; `where` names their owner."""
    for key, value in parameters.items():
        if not isinstance(value, _SCALARS):
            raise MalformedRequest(f"the parameter '{key[:50]}' of {where} must be a string, a number or a boolean")


def check_reserved(parameters: Mapping[str, Any]) -> None:
    """Raise `MalformedRequest` if a request has a parameter that only a server may set."""
    for key in parameters:
        if key.startswith(_RESERVED):
            raise MalformedRequest(f"the parameter '{key[:50]}' is reserved: names that start with '{_RESERVED}' are")


def timeout_of(value: Any) -> float | None:
    """The parameter `timeout`, in microseconds, as seconds; None for 0."""
    if not is_count(value) or value > _MAX_TIMEOUT_MICROSECONDS:
        raise MalformedRequest(f"the parameter 'timeout' must be a whole number of microseconds, not {shown(value)}")
    return value * _MICROSECONDS if value else None


def priority_of(value: Any) -> int:
    """The parameter `priority`; 0 stands for the model's default."""
    if not is_count(value):
        raise MalformedRequest(
            f"the parameter 'priority' must be a whole number, 0 for the default, not {shown(value)}"
        )
    return int(value)


def flag_of(parameters: Mapping[str, Any], name: str, *, default: bool = False) -> bool:
    """The parameter `name`, which must be true or false; `default` if it is absent."""
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise MalformedRequest(f"the parameter '{name}' must be true or false, not {shown(value)}")
    return value


def refuse_model_files(names: Iterable[str]) -> None:
    """Raise `Unsupported` if the `names` of a load request's parameters show that it brings the model itself."""
    for name in names:
        if name == "config" or name.startswith("file:"):
            raise Unsupported(
                f"'{name[:50]}' is not offered: models are loaded from the repository as they lie there; put the "
                "model there first"
            )


def refuse_classification() -> None:
    """Raise `Unsupported` for the `classification` extension."""
    raise Unsupported(
        "the classification extension is not offered; the model answers with the labels of its best classes itself"
    )


def refuse_shared_memory() -> None:
    """Raise `Unsupported` for tensors in shared memory."""
    raise Unsupported("shared memory is not offered; send the tensor in the request")


def is_count(value: Any) -> bool:
    """Whether `value` is a whole number of at least 0; a bool, which Python takes for a number, is not."""
    return type(value) is int and value >= 0


def shown(value: Any) -> str:
    """`value` as a short text for an error message."""
    text = _SHORT.repr(value)
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "…"
