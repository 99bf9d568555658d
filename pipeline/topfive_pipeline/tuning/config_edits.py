"""Writes a setting into the text of a `config.pbtxt`: what it changes is replaced, and every other character stays.

What lives here: the fields that are tuned, and the comment with the evidence. What does not: files (`tuning.landing`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from topfive.repository.model_config import parse_model_config
from topfive_pipeline.tuning.settings import Setting, default_instances, setting_of
from topfive_pipeline.tuning.text_fields import Field, Value, fields_of, named

_THREADS: Final = "intra_op_thread_count"
_BEGINS: Final = "# ---- topfive tune"
_ENDS: Final = "# ---- end of topfive tune"
_EVIDENCE: Final = re.compile(rf"\n*^{_BEGINS}.*?^{_ENDS}[^\n]*\n?", re.MULTILINE | re.DOTALL)


def with_setting(text: str, setting: Setting, *, name: str, where: str, cores: int) -> str:
    """`text`, the config.pbtxt of the model `name`, so that it comes to `setting` on `cores` cores.

    `where` names the file in messages. What is there and right already is left alone: a count that is not set, where
    the default comes to the same, stays unset.
    """
    current = setting_of(parse_model_config(text, name=name, where=where), cores=cores)
    counted = parse_model_config(text, name=name, where=where).instances
    if setting.max_batch_size != current.max_batch_size:
        text = _with_scalar(text, ("max_batch_size",), str(setting.max_batch_size))
    if setting.delay is not None and setting.delay != current.delay:
        text = _with_scalar(text, ("dynamic_batching", "max_queue_delay_microseconds"), str(setting.delay))
    if setting.threads != current.threads:
        text = _with_threads(text, setting.threads)
    if setting.instances != (counted or default_instances(setting.threads, cores)):
        text = _with_scalar(text, ("instance_group", "count"), str(setting.instances))
    if (setting.engine, setting.precision) != (current.engine, current.precision):
        text = _with_engine(text, setting)
    reached = setting_of(parse_model_config(text, name=name, where=where), cores=cores)
    if reached != replace(setting, delay=current.delay if setting.delay is None else setting.delay):
        raise AssertionError(f"{where}: the edit comes to {reached}, not {setting}")
    return text


def with_evidence(text: str, lines: Sequence[str], *, title: str) -> str:
    """`text` with `lines` as a comment at its end, in place of that of an earlier tuning."""
    kept = without_evidence(text).rstrip("\n")
    comment = [f"# {line}".rstrip() for line in lines]
    return "\n".join([kept, "", f"{_BEGINS}: {title}", *comment, f"{_ENDS} (it is written anew each time)", ""])


def without_evidence(text: str) -> str:
    """`text` without the comment of an earlier tuning."""
    return _EVIDENCE.sub("\n", text)


def _with_scalar(text: str, path: tuple[str, ...], value: str) -> str:
    """The scalar field at `path` as `value`; the messages on the way, and the field, are added where they are not.

    Of several that say the same the last counts, as for protobuf.
    """
    fields: Sequence[Field] = fields_of(text)
    inside: Value | None = None
    for depth, name in enumerate(path):
        found = named(fields, name)
        if not found:
            return _added(text, inside, _written(path[depth:], value))
        if depth == len(path) - 1:
            return _replaced(text, found[-1].value, value)
        messages = list(found[-1].value.messages)
        if not messages:  # an empty list
            return _replaced(text, found[-1].value, f"[ {{ {_written(path[depth + 1 :], value)} }} ]")
        inside = messages[-1]
        fields = inside.fields or ()
    raise AssertionError("a path has a field")


def _with_threads(text: str, threads: int) -> str:
    for field in reversed(named(fields_of(text), "parameters")):
        for entry in reversed(list(field.value.messages)):
            key = named(entry.fields, "key")
            if not key or _unquoted(text, key[-1].value) != _THREADS:
                continue
            for value in named(entry.fields, "value"):
                said = [each for message in value.value.messages for each in named(message.fields, "string_value")]
                if said:
                    return _replaced(text, said[-1].value, f'"{threads}"')
    return _added(text, None, f'parameters {{ key: "{_THREADS}" value {{ string_value: "{threads}" }} }}')


def _with_engine(text: str, setting: Setting) -> str:
    """Without any accelerator, then with the one of `setting`; messages that are left empty go too."""
    for path in (
        ("optimization", "execution_accelerators", "cpu_execution_accelerator"),
        ("optimization", "execution_accelerators"),
        ("optimization",),
    ):
        while field := _removable(text, path):
            text = _removed(text, field)
    if setting.engine == "onnxruntime":
        return text
    precision = (
        "" if setting.precision == "fp32" else f' parameters {{ key: "precision" value: "{setting.precision}" }}'
    )
    accelerator = f'cpu_execution_accelerator [ {{ name: "{setting.engine}"{precision} }} ]'
    return _added(text, None, f"optimization {{ execution_accelerators {{ {accelerator} }} }}")


def _removable(text: str, path: tuple[str, ...]) -> Field | None:
    """A field at `path`; of messages on the way to an accelerator only one that holds nothing."""
    level = list(fields_of(text))
    for name in path[:-1]:
        level = [inner for field in named(level, name) for each in field.value.messages for inner in each.fields or ()]
    found = named(level, path[-1])
    if path[-1] == "cpu_execution_accelerator":
        return found[-1] if found else None
    return next((field for field in found if not any(each.fields for each in field.value.messages)), None)


def _removed(text: str, field: Field) -> str:
    """Without `field`, the comma behind it, and its line if nothing else is on it."""
    end = field.end
    if behind := re.compile(r"\s*[,;]").match(text, end):
        end = behind.end()
    begin = text.rfind("\n", 0, field.start) + 1
    after = text.find("\n", end)
    line_end = len(text) if after < 0 else after + 1
    if not text[begin : field.start].strip() and not text[end:line_end].strip():
        return text[:begin] + text[line_end:]
    return text[: field.start] + text[end:]


def _replaced(text: str, value: Value, new: str) -> str:
    return text[: value.start] + new + text[value.end :]


def _added(text: str, inside: Value | None, new: str) -> str:
    """`new` as the first field of the message `inside`, or at the end of the text."""
    if inside is None:
        return f"{text.rstrip()}\n\n{new}\n"
    return f"{text[: inside.start + 1]} {new}{text[inside.start + 1 :]}"


def _written(path: Sequence[str], value: str) -> str:
    """The field at the end of `path`, in messages."""
    written = f"{path[-1]}: {value}"
    for name in reversed(path[:-1]):
        written = f"{name} {{ {written} }}"
    return written


def _unquoted(text: str, value: Value) -> str:
    """A string value without its quotes; what is asked for has no escapes."""
    return text[value.start + 1 : value.end - 1]
