"""What Triton says of a model against what our repository says: pure, on Triton's own messages.

What lives here: the comparison, in words. What does not: asking Triton (`connection`), and what follows (`backend`).

Triton fills in what a config.pbtxt leaves out, so only what ours sets is looked for in its answer; but inputs, outputs
and `max_batch_size` must be the same on both sides, for requests are made by them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from google.protobuf.message import Message

from topfive.ground.types import TensorSpec

_BOTH_WAYS: Final = ("max_batch_size", "input", "output")
_SPELLINGS: Final = ("name", "platform", "backend")
"""Triton answers with its own spelling of these, and an unknown backend would not have loaded the graph."""
_OWN_CHOICE: Final = ("version_policy",)
"""Which versions each side has is asked for by version."""


def config_differences(ours: Message, theirs: Message) -> list[str]:
    """In what `theirs`, an `inference.ModelConfig`, is not what `ours` asks for; empty if in nothing."""
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
    """In what the tensors of `theirs`, an `inference.ModelMetadataResponse`, are not those declared."""
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
    """In what `theirs` lacks or changes something that `ours` has set."""
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
    """A scalar, or a list of scalars, to compare and to show."""
    return list(value) if _is_list(value) else value


def _is_list(value: Any) -> bool:
    return hasattr(value, "__len__") and not isinstance(value, str | bytes)
