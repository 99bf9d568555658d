"""The protocol's parameters, of requests and of what stands in them: values as Python has them, from JSON or protobuf.

Every `…_of` gives what the value means, and raises `MalformedRequest` for one that cannot mean it.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

from topfive.ground.errors import MalformedRequest, Unsupported

HIGHEST_PRIORITY: Final = 1
"""What a request may turn out to have; it says so in its body."""
_MICROSECONDS: Final = 1e-6
_MAX_TIMEOUT_MICROSECONDS: Final = (1 << 63) - 1
_MAX_SHOWN: Final = 100
_SCALARS: Final = (str, int, float, bool)
_RESERVED: Final = "triton_"

_SHORT: Final = reprlib.Repr()
"""`repr` of a client's JSON would fail where it is nested too deeply, and copy all of it where it is large."""
_SHORT.maxlevel = 2
_SHORT.maxstring = _SHORT.maxother = _MAX_SHOWN


def check_parameters(parameters: Mapping[str, Any], where: str) -> None:
    """Raise `MalformedRequest` unless each of the `parameters` of `where` is one value."""
    for key, value in parameters.items():
        if not isinstance(value, _SCALARS):
            raise MalformedRequest(f"the parameter '{key[:50]}' of {where} must be a string, a number or a boolean")


def check_reserved(parameters: Mapping[str, Any]) -> None:
    """Raise `MalformedRequest` for a request's parameter that only a server may set."""
    for key in parameters:
        if key.startswith(_RESERVED):
            raise MalformedRequest(f"the parameter '{key[:50]}' is reserved: names that start with '{_RESERVED}' are")


def timeout_of(value: Any) -> float | None:
    """The parameter `timeout`, in microseconds, as seconds; None for 0."""
    if not is_count(value) or value > _MAX_TIMEOUT_MICROSECONDS:
        raise MalformedRequest(f"the parameter 'timeout' must be a whole number of microseconds, not {shown(value)}")
    return value * _MICROSECONDS if value else None


def priority_of(value: Any) -> int:
    """The parameter `priority`."""
    if not is_count(value):
        raise MalformedRequest(
            f"the parameter 'priority' must be a whole number, 0 for the default, not {shown(value)}"
        )
    return int(value)


def flag_of(parameters: Mapping[str, Any], name: str, *, default: bool = False) -> bool:
    """The parameter `name`, which is true or false."""
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise MalformedRequest(f"the parameter '{name}' must be true or false, not {shown(value)}")
    return value


def refuse_model_files(names: Iterable[str]) -> None:
    """Raise `Unsupported` if a request to load a model brings the model itself, by the `names` of its parameters."""
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
    """Whether `value` is a whole number of at least 0; in Python a bool would be one too."""
    return type(value) is int and value >= 0


def shown(value: Any) -> str:
    """`value` for a message, cut short."""
    text = _SHORT.repr(value)
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "…"
