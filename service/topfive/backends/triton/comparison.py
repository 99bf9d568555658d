"""Compares a model at Triton with the same model in our repository, on Triton's own messages. Pure.

Triton fills in what a config.pbtxt leaves out, so only the fields that ours sets are compared. Inputs, outputs and
`max_batch_size` must be the same on both sides, because requests are made by them. `channel` asks Triton.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from google.protobuf.message import Message

from topfive.ground.types import TensorSpec

_BOTH_WAYS: Final = ("max_batch_size", "input", "output")
_SPELLINGS: Final = ("name", "platform", "backend")
"""Not compared: Triton answers with its own spelling of these, and a wrong backend would not have loaded the graph."""
_OWN_CHOICE: Final = ("version_policy",)
"""Not compared: each side may choose its versions; each version is asked for by its number."""


def config_differences(ours: Message, theirs: Message) -> list[str]:
    """The differences of `theirs`, an `inference.ModelConfig`, from what `ours` sets; empty if there are none."""
    found = []
    for name in _BOTH_WAYS:
        mine, its = getattr(ours, name), getattr(theirs, name)
        if not isinstance(mine, int) and len(mine) != len(its):
            found.append(f"{name}: {len(mine)} here, {len(its)} there")
        elif isinstance(mine, int) and mine != its:
            found.append(f"{name}: {mine} here, {its} there")
    for descriptor, value in ours.ListFields():
        if descriptor.name not in (*_SPELLINGS, *_OWN_CHOICE, "max_batch_size"):
            found += _differences(descriptor.name, value, getattr(theirs, descriptor.name))
    return found


def metadata_differences(inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], theirs: Any) -> list[str]:
    """How the tensors of `theirs`, an `inference.ModelMetadataResponse`, differ from the declared ones."""
    found = []
    for kind, declared, offered in (("input", inputs, theirs.inputs), ("output", outputs, theirs.outputs)):
        mine = {spec.name: f"{spec.datatype} {list(spec.shape)}" for spec in declared}
        its = {tensor.name: f"{tensor.datatype} {list(tensor.shape)}" for tensor in offered}
        found += [
            f"{kind} '{name}': {mine.get(name, 'none')} here, {its.get(name, 'none')} there"
            for name in sorted(mine.keys() | its.keys())
            if mine.get(name) != its.get(name)
        ]
    return found


def _differences(path: str, ours: Any, theirs: Any) -> Iterator[str]:
    """Each field that `ours` sets and that `theirs` lacks or has with another value."""
    if isinstance(ours, Message):
        for descriptor, value in ours.ListFields():
            yield from _differences(f"{path}.{descriptor.name}", value, getattr(theirs, descriptor.name))
    elif hasattr(ours, "items"):
        for key in sorted(ours):
            if key not in theirs:
                yield f"{path}.{key}: not there"
            else:
                yield from _differences(f"{path}.{key}", ours[key], theirs[key])
    elif _is_list(ours) and any(isinstance(one, Message) for one in ours):
        if len(ours) != len(theirs):
            yield f"{path}: {len(ours)} here, {len(theirs)} there"
        else:
            for number, (mine, its) in enumerate(zip(ours, theirs, strict=True)):
                yield from _differences(f"{path}[{number}]", mine, its)
    elif (mine := _plain(ours)) != (its := _plain(theirs)):
        yield f"{path}: {mine} here, {its} there"


def _plain(value: Any) -> Any:
    """A field's value as a scalar or a list of scalars, to compare and to show."""
    return list(value) if _is_list(value) else value


def _is_list(value: Any) -> bool:
    return hasattr(value, "__len__") and not isinstance(value, str | bytes)
