"""A setting is written into a config.pbtxt so that protobuf reads it, and all else is as its author left it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final

import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import model_config_pb2 as pb

from tests.pipeline.conftest import REPOSITORY
from topfive.repository.model_config import parse_model_config
from topfive_pipeline.tuning.config_edits import with_evidence, with_setting, without_evidence
from topfive_pipeline.tuning.settings import Setting, setting_of
from topfive_pipeline.tuning.text_fields import fields_of

CORES: Final = 4
COMMENT: Final = re.compile(r"#[^\n]*")
TENSORS: Final = """
backend: "onnxruntime"  # a "quoted" { word
input [ { name: 'pixels' data_type: TYPE_UINT8, dims: [ 2, -1, 3 ] } ]  # ] }
output < name: "classes" data_type: TYPE_STRING dims: 5 >;
output { name: "p" "robabilities" data_type: TYPE_FP32 dims: [5] }
"""
GROUPS: Final = (
    "",
    "instance_group []\n",
    "instance_group [ { kind: KIND_CPU } ]  # why\n",
    "instance_group {\n  # so many\n  count: 3\n  kind: KIND_CPU\n}\n",
    "instance_group: [\n  { kind: KIND_CPU, count: 1, name: 'count: 7' }\n]\n",
)
PARAMETERS: Final = (
    "",
    'parameters { key: "intra_op_thread_count" value { string_value: "2" } }  # two\n',
    "parameters: [ { key: 'intra_op_thread_count' value: < string_value: '1' > } ]\n",
)
BATCHING: Final = (
    "",
    "dynamic_batching {}\n",
    "dynamic_batching {\n  # at once\n  max_queue_delay_microseconds: 0; default_queue_policy {} }\n",
)
ACCELERATORS: Final = (
    "",
    'optimization { execution_accelerators { cpu_execution_accelerator [ { name: "openvino" } ] } }\n',
    (
        "optimization {\n  execution_accelerators {\n    cpu_execution_accelerator {\n      name: 'openvino'\n"
        "      parameters { key: 'precision' value: 'bf16' }\n    }\n  }\n}\n"
    ),
)


@st.composite
def configs(draw: st.DrawFn) -> str:
    """Texts of a classifier's config.pbtxt, in orders and spellings that protobuf reads."""
    parts = [f"max_batch_size: {draw(st.integers(1, 64))}  # most\n", TENSORS]
    parts += [draw(st.sampled_from(each)) for each in (GROUPS, PARAMETERS, BATCHING, ACCELERATORS)]
    return "# The first line\n" + "".join(draw(st.permutations(parts)))


@st.composite
def changes(draw: st.DrawFn) -> dict[str, Any]:
    """Settings of a candidate beside those that stay as they are."""
    engine, precision = draw(st.sampled_from([("onnxruntime", "fp32"), ("openvino", "fp32"), ("openvino", "bf16")]))
    return {
        "instances": draw(st.integers(1, 8)),
        "threads": draw(st.integers(1, 8)),
        "max_batch_size": draw(st.integers(1, 64)),
        "delay": draw(st.integers(0, 5000)),
        "engine": engine,
        "precision": precision,
    }


def read(text: str) -> Any:
    return text_format.Parse(text, pb.ModelConfig())


def setting(text: str) -> Setting:
    return setting_of(parse_model_config(text, name="m", where="m"), cores=CORES)


@given(configs(), changes())
def test_the_text_comes_to_the_setting_and_all_else_stays(text: str, changed: dict[str, Any]) -> None:
    current = setting(text)
    wanted = replace(current, **(changed if current.delay is not None else changed | {"delay": None}))
    edited = with_setting(text, wanted, name="m", where="m", cores=CORES)
    assert setting(edited) == wanted
    assert COMMENT.findall(edited) == COMMENT.findall(text) or wanted.engine != current.engine
    before, after = read(text), read(edited)
    for message in (before, after):  # but for what is tuned
        message.max_batch_size = 0
        message.dynamic_batching.max_queue_delay_microseconds = 0
        message.ClearField("optimization")
        message.parameters.clear()
        for group in message.instance_group:
            group.count = 0
        if [group.ListFields() for group in message.instance_group] == [[]]:
            message.ClearField("instance_group")
    assert before == after


@given(configs())
def test_the_setting_that_is_there_changes_no_character(text: str) -> None:
    assert with_setting(text, setting(text), name="m", where="m", cores=CORES) == text


def test_a_count_that_the_machine_decides_stays_its_decision() -> None:
    """So that a repository whose batch limit was tuned fills the cores of another machine."""
    text = f"max_batch_size: 16\n{TENSORS}{GROUPS[2]}{BATCHING[1]}"
    assert "count" not in with_setting(text, replace(setting(text), max_batch_size=8), name="m", where="m", cores=CORES)
    threads = replace(setting(text), threads=2, instances=2)  # what two threads each come to on four cores
    assert "count:" not in with_setting(text, threads, name="m", where="m", cores=CORES)


@given(configs(), st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=40), max_size=4))
def test_evidence_is_a_comment_that_the_next_one_replaces(text: str, lines: list[str]) -> None:
    once = with_evidence(text, lines, title="p99:50ms")
    assert read(once) == read(text)
    assert with_evidence(once, ["other"], title="later") == with_evidence(text, ["other"], title="later")
    assert without_evidence(once).rstrip() == text.rstrip()


def test_the_shipped_configuration_keeps_its_words() -> None:
    name = "efficientnet_lite0_classify"
    text = (REPOSITORY / name / "config.pbtxt").read_text(encoding="utf-8")
    wanted = replace(setting_of(parse_model_config(text, name=name, where=""), cores=2), instances=1, threads=2)
    edited = with_setting(text, wanted, name=name, where="", cores=8)
    added = [line for line in edited.splitlines() if line not in text.splitlines()]
    assert added == [
        "instance_group [ { count: 1 kind: KIND_AUTO } ]",
        'parameters { key: "intra_op_thread_count" value { string_value: "2" } }',
    ]


@pytest.mark.parametrize("text", ["a: {", "a: [ 1", "a", 'a: "x', "a: }", "[a"])
def test_what_is_no_message_is_an_error_and_ends(text: str) -> None:
    with pytest.raises(ValueError, match=r"character|missing"):
        fields_of(text)
