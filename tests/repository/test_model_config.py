"""Every field of `config.pbtxt` is either honoured, in the unit that Triton gives it, or refused by its name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from google.protobuf import text_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import model_config_pb2 as pb

from topfive.ground.errors import ConfigurationError
from topfive.ground.types import TensorSpec
from topfive.repository.gpu_accelerators import Gpu
from topfive.repository.model_config import EnsembleStep, ModelConfig, VersionPolicy, WarmUp, parse_model_config

WHERE: Final = "repository/cat/config.pbtxt"
PLAIN: Final = """
    backend: "onnxruntime"
    max_batch_size: 16
    input { name: "image" data_type: TYPE_UINT8 dims: [ 224, -1, 3 ] }
    output { name: "classes" data_type: TYPE_STRING dims: [ 5 ] }
"""
ENSEMBLE: Final = """
    platform: "ensemble"
    max_batch_size: 16
    input { name: "image" data_type: TYPE_UINT8 dims: [ -1, -1, 3 ] }
    output { name: "classes" data_type: TYPE_STRING dims: [ 5 ] }
"""
WARM_UP: Final = 'inputs { key: "image" value { data_type: TYPE_UINT8 dims: [ 224, 80, 3 ] zero_data: true } }'


def parse(text: str, name: str = "cat") -> ModelConfig:
    return parse_model_config(text, name=name, where=WHERE)


def refusal(text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse(text)
    assert WHERE in str(caught.value)
    return str(caught.value)


def queue_policy(text: str) -> str:
    return f"dynamic_batching {{ default_queue_policy {{ {text} }} }}"


# By the path of each field that is honoured: a use of it beside PLAIN or ENSEMBLE, and where its value is found.
HONOURED: Final[dict[str, tuple[str, str, object]]] = {
    "name": (PLAIN + 'name: "cat"', "name", "cat"),
    "backend": (PLAIN, "steps", ()),
    "platform": (PLAIN.replace('backend: "onnxruntime"', 'platform: "onnxruntime_onnx"'), "steps", ()),
    "default_model_filename": (PLAIN + 'default_model_filename: "best.onnx"', "filename", "best.onnx"),
    "max_batch_size": (PLAIN + "dynamic_batching {}", "max_batch_size", 16),
    "input.name": (PLAIN, "inputs.0.name", "image"),
    "input.data_type": (PLAIN, "inputs.0.datatype", "UINT8"),
    "input.dims": (PLAIN, "inputs.0.shape", (-1, 224, -1, 3)),
    "output.name": (PLAIN, "outputs.0.name", "classes"),
    "output.data_type": (PLAIN, "outputs.0.datatype", "BYTES"),
    "output.dims": (PLAIN, "outputs.0.shape", (-1, 5)),
    "version_policy.latest.num_versions": (
        PLAIN + "version_policy { latest { num_versions: 3 } }",
        "versions",
        VersionPolicy(latest=3),
    ),
    "version_policy.all": (PLAIN + "version_policy { all {} }", "versions", VersionPolicy(latest=None)),
    "version_policy.specific.versions": (
        PLAIN + "version_policy { specific { versions: [ 4, 2 ] } }",
        "versions",
        VersionPolicy(specific=(4, 2)),
    ),
    "instance_group.name": (PLAIN + 'instance_group { name: "cpu" }', "instances", 0),
    "instance_group.kind": (PLAIN + "instance_group { kind: KIND_CPU }", "device", "cpu"),
    "instance_group.count": (PLAIN + "instance_group { count: 3 }", "instances", 3),
    "dynamic_batching": (PLAIN + "dynamic_batching {}", "max_batch_size", 16),
    "dynamic_batching.max_queue_delay_microseconds": (
        PLAIN + "dynamic_batching { max_queue_delay_microseconds: 2500 }",
        "max_queue_delay_seconds",
        pytest.approx(0.0025),
    ),
    "dynamic_batching.priority_levels": (
        PLAIN + "dynamic_batching { priority_levels: 3 default_priority_level: 2 }",
        "priority_levels",
        3,
    ),
    "dynamic_batching.default_priority_level": (
        PLAIN + "dynamic_batching { priority_levels: 3 default_priority_level: 2 }",
        "default_priority_level",
        2,
    ),
    "dynamic_batching.default_queue_policy.default_timeout_microseconds": (
        PLAIN + queue_policy("default_timeout_microseconds: 1500000"),
        "queue_timeout_seconds",
        pytest.approx(1.5),
    ),
    "dynamic_batching.default_queue_policy.allow_timeout_override": (
        PLAIN + queue_policy("allow_timeout_override: true"),
        "allow_timeout_override",
        True,
    ),
    "dynamic_batching.default_queue_policy.max_queue_size": (
        PLAIN + queue_policy("max_queue_size: 77"),
        "max_queue_items",
        77,
    ),
    "optimization.execution_accelerators.cpu_execution_accelerator.name": (
        PLAIN + 'optimization { execution_accelerators { cpu_execution_accelerator { name: "openvino" } } }',
        "engine",
        "openvino",
    ),
    "optimization.execution_accelerators.cpu_execution_accelerator.parameters": (
        PLAIN
        + """optimization { execution_accelerators { cpu_execution_accelerator {
            name: "openvino" parameters { key: "precision" value: "bf16" } } } }""",
        "precision",
        "bf16",
    ),
    "optimization.execution_accelerators.gpu_execution_accelerator.name": (
        PLAIN
        + """instance_group { kind: KIND_GPU }
            optimization { execution_accelerators { gpu_execution_accelerator { name: "tensorrt" } } }""",
        "gpu.tensorrt",
        True,
    ),
    "optimization.execution_accelerators.gpu_execution_accelerator.parameters": (
        PLAIN
        + """instance_group { kind: KIND_GPU } optimization { execution_accelerators { gpu_execution_accelerator {
            name: "tensorrt" parameters { key: "precision_mode" value: "FP16" } } } }""",
        "gpu.precision",
        "fp16",
    ),
    "parameters.intra_op_thread_count": (
        PLAIN + 'parameters { key: "intra_op_thread_count" value { string_value: "2" } }',
        "threads",
        2,
    ),
    "parameters.int8_model_filename": (
        PLAIN + 'parameters { key: "int8_model_filename" value { string_value: "model.int8.onnx" } }',
        "int8_filename",
        "model.int8.onnx",
    ),
    "parameters.jpeg_short_side": (
        PLAIN + 'parameters { key: "jpeg_short_side" value { string_value: "512" } }',
        "jpeg_short_side",
        512,
    ),
    "model_warmup.name": (PLAIN + f'model_warmup {{ name: "first" {WARM_UP} }}', "warm_ups.0.count", 1),
    "model_warmup.batch_size": (
        PLAIN + f"model_warmup {{ batch_size: 4 {WARM_UP} }}",
        "warm_ups.0.shape",
        (4, 224, 80, 3),
    ),
    "model_warmup.count": (PLAIN + f"model_warmup {{ count: 6 {WARM_UP} }}", "warm_ups.0.count", 6),
    "model_warmup.inputs.data_type": (
        PLAIN + f"model_warmup {{ {WARM_UP} }}",
        "warm_ups",
        (WarmUp((1, 224, 80, 3), random=False, count=1),),
    ),
    "model_warmup.inputs.dims": (PLAIN + f"model_warmup {{ {WARM_UP} }}", "warm_ups.0.shape", (1, 224, 80, 3)),
    "model_warmup.inputs.zero_data": (PLAIN + f"model_warmup {{ {WARM_UP} }}", "warm_ups.0.random", False),
    "model_warmup.inputs.random_data": (
        PLAIN + f"model_warmup {{ {WARM_UP.replace('zero_data', 'random_data')} }}",
        "warm_ups.0.random",
        True,
    ),
    "ensemble_scheduling.step.model_name": (
        ENSEMBLE + 'ensemble_scheduling { step { model_name: "resize" } }',
        "steps.0.model",
        "resize",
    ),
    "ensemble_scheduling.step.model_version": (
        ENSEMBLE + "ensemble_scheduling { step { model_version: -1 } }",
        "steps.0.version",
        -1,
    ),
    "ensemble_scheduling.step.input_map": (
        ENSEMBLE + 'ensemble_scheduling { step { input_map { key: "image" value: "crop" } } }',
        "steps.0.inputs",
        {"image": "crop"},
    ),
    "ensemble_scheduling.step.output_map": (
        ENSEMBLE + 'ensemble_scheduling { step { output_map { key: "classes" value: "labels" } } }',
        "steps.0.outputs",
        {"classes": "labels"},
    ),
}


@pytest.mark.parametrize("field", HONOURED)
def test_an_honoured_field_lands_in_the_configuration(field: str) -> None:
    text, attribute, expected = HONOURED[field]
    value: Any = parse(text)
    for part in attribute.split("."):
        value = value[int(part)] if part.isdigit() else getattr(value, part)
    assert value == expected


def test_what_is_not_said_has_its_default() -> None:
    assert parse(PLAIN) == ModelConfig(
        name="cat",
        inputs=(TensorSpec("image", "UINT8", (-1, 224, -1, 3)),),
        outputs=(TensorSpec("classes", "BYTES", (-1, 5)),),
        graph_batch_size=16,
        batches=False,
        max_queue_delay_seconds=0.0,
        max_queue_items=0,
        priority_levels=0,
        default_priority_level=0,
        queue_timeout_seconds=0.0,
        allow_timeout_override=False,
        instances=0,
        threads=0,
        jpeg_short_side=0,
        device="auto",
        engine="onnxruntime",
        precision="fp32",
        gpu=Gpu(),
        filename="model.onnx",
        int8_filename="",
        versions=VersionPolicy(latest=1),
        warm_ups=(),
        steps=(),
        message=None,
    )


def test_requests_are_not_batched_together_without_dynamic_batching() -> None:
    assert parse(PLAIN).max_batch_size == 1
    assert parse(PLAIN + "dynamic_batching {}").max_batch_size == 16


def test_the_steps_of_an_ensemble_keep_their_order() -> None:
    steps = parse(
        ENSEMBLE
        + """ensemble_scheduling { step [
            { model_name: "b" model_version: 2 input_map { key: "x" value: "i" } output_map { key: "y" value: "z" } },
            { model_name: "a" model_version: -1 input_map { key: "z" value: "z" } }
        ] }"""
    ).steps
    assert steps == (EnsembleStep("b", 2, {"x": "i"}, {"y": "z"}), EnsembleStep("a", -1, {"z": "z"}, {}))


@pytest.mark.parametrize(
    ("data_type", "datatype"),
    [("TYPE_UINT8", "UINT8"), ("TYPE_INT64", "INT64"), ("TYPE_FP32", "FP32"), ("TYPE_STRING", "BYTES")],
)
def test_datatypes_have_the_names_of_the_protocol(data_type: str, datatype: str) -> None:
    text = PLAIN + f'output {{ name: "more" data_type: {data_type} dims: [ 2, 3 ] }}'
    assert parse(text).outputs[1] == TensorSpec("more", datatype, (-1, 2, 3))


Way = tuple[FieldDescriptor, ...]


def is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def paths(message: Descriptor, parents: Way = ()) -> Iterator[Way]:
    """The way to every field below `message`, to those of a map's values through the map."""
    for field in message.fields:
        here = (*parents, field)
        yield here
        inside = field.message_type.fields_by_name["value"].message_type if is_map(field) else field.message_type
        if inside is not None:
            yield from paths(inside, here)


def fill(message: Any, path: Way) -> None:
    """Set the field at the end of `path` to something that is not its default, or to an empty message."""
    field, *rest = path
    values = getattr(message, field.name)
    key = "x" if not is_map(field) or field.message_type.fields_by_name["key"].cpp_type == field.CPPTYPE_STRING else 1
    if is_map(field) and field.message_type.fields_by_name["value"].message_type is None:
        values[key] = "y"
    elif field.message_type is None:
        value: Any = {field.CPPTYPE_STRING: "x", field.CPPTYPE_BOOL: True}.get(field.cpp_type, 1)
        if field.is_repeated:
            values.append(value)
        else:
            setattr(message, field.name, value)
    else:
        if is_map(field):
            inner = values[key]
        elif field.is_repeated:
            inner = values[0] if values else values.add()
        else:
            inner = values
        inner.SetInParent()
        if rest:
            fill(inner, tuple(rest))


def dotted(path: Way) -> str:
    return ".".join(field.name for field in path)


ALL_FIELDS: Final = {dotted(path): path for path in paths(pb.ModelConfig.DESCRIPTOR)}
# Messages of which every honoured use sets a field, and the parameters, whose keys are the fields.
HOLDERS: Final = {field[:end] for field in HONOURED for end in range(len(field)) if field[end] == "."}
REFUSED: Final = sorted(ALL_FIELDS.keys() - HONOURED.keys() - HOLDERS - {"parameters.string_value"})


def test_the_fields_of_a_model_configuration_are_known() -> None:
    ours = {f"parameters.{name}" for name in ("intra_op_thread_count", "int8_model_filename", "jpeg_short_side")}
    assert HONOURED.keys() - ALL_FIELDS.keys() == ours
    assert len(REFUSED) > 100


@pytest.mark.parametrize("field", REFUSED)
def test_any_other_field_is_refused_by_its_name(field: str) -> None:
    config = text_format.Parse(PLAIN, pb.ModelConfig())
    fill(config, ALL_FIELDS[field])
    assert f"the field '{field}'" in refusal(text_format.MessageToString(config))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('parameters { key: "inter_op_thread_count" value { string_value: "2" } }', "parameters.inter_op_thread_count"),
        ('parameters { key: "x" value {} }', "parameters.x"),
        (queue_policy("timeout_action: DELAY"), "dynamic_batching.default_queue_policy.timeout_action"),
        ("dynamic_batching { preferred_batch_size: [ 4, 8 ] }", "dynamic_batching.preferred_batch_size"),
        (
            'model_warmup { inputs { key: "image" value { input_data_file: "a" } } }',
            "model_warmup.inputs.input_data_file",
        ),
        ("instance_group { count: 1 } instance_group { gpus: [ 0 ] }", "instance_group.gpus"),
    ],
)
def test_fields_that_look_like_honoured_ones_are_refused_by_name(text: str, named: str) -> None:
    assert f"the field '{named}'" in refusal(PLAIN + text)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("instance_group", "{ count: 2 }"),
        ("default_model_filename", ': "x"'),
        ("model_warmup", "{ " + WARM_UP.replace("224", "9") + " }"),
        ("parameters", '{ key: "intra_op_thread_count" value { string_value: "2" } }'),
    ],
    ids=["instance_group", "default_model_filename", "model_warmup", "parameters"],
)
def test_an_ensemble_has_no_fields_that_only_a_graph_can_honour(field: str, value: str) -> None:
    ensemble = ENSEMBLE + 'ensemble_scheduling { step { model_name: "resize" } }'
    assert parse(ensemble).steps
    assert field in refusal(ensemble + field + value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (PLAIN.replace("16", "0"), "max_batch_size is 0"),
        (PLAIN.replace("16", "-4"), "max_batch_size is -4"),
        (PLAIN.replace("max_batch_size: 16", ""), "max_batch_size is 0"),
        (PLAIN + 'name: "dog"', "the name is 'dog', but its folder is 'cat'"),
        (PLAIN.replace("onnxruntime", "pytorch"), "backend 'pytorch'"),
        (PLAIN.replace('backend: "onnxruntime"', 'platform: "tensorrt_plan"'), "backend 'tensorrt_plan'"),
        (PLAIN.replace('backend: "onnxruntime"', ""), "it names no backend; it must be onnxruntime"),
        (PLAIN.replace("onnxruntime", "ensemble"), "backend 'ensemble'"),
        (ENSEMBLE.replace("ensemble", "onnxruntime") + "ensemble_scheduling { step {} }", "ensemble_scheduling"),
        (
            ENSEMBLE.replace("ensemble", "onnxruntime") + 'ensemble_scheduling { step { model_name: "a" } }',
            "backend 'onnxruntime'",
        ),
        (PLAIN.replace("input {", "output {"), "input and output must be declared"),
        (PLAIN.replace("output {", "input {"), "input and output must be declared"),
        (PLAIN.replace("TYPE_STRING", "TYPE_BF16"), "the data_type of 'classes', TYPE_BF16, is not one that is served"),
        (PLAIN.replace("data_type: TYPE_UINT8", ""), "the data_type of 'image'"),
        (PLAIN + "instance_group { kind: KIND_MODEL }", "instance_group.kind"),
        (PLAIN + "instance_group { count: 1 } instance_group { count: 2 }", "more than one instance_group"),
        (PLAIN + "instance_group { count: -1 }", "count"),
        (PLAIN + "dynamic_batching { priority_levels: 2 }", "default_priority_level is 0; with priority_levels"),
        (
            PLAIN + "dynamic_batching { priority_levels: 2 default_priority_level: 3 }",
            "default_priority_level is 3; with priority_levels it must be from 1 to 2",
        ),
        (PLAIN + "dynamic_batching { default_priority_level: 1 }", "nothing without priority_levels"),
        (PLAIN.replace("224", "0"), "dims"),
        (PLAIN.replace("224", "-2"), "dims"),
        (PLAIN.replace("dims: [ 5 ]", ""), "'classes' has no dims"),
    ],
)
def test_a_value_that_cannot_be_served_is_refused(text: str, says: str) -> None:
    assert says in refusal(text)


@pytest.mark.parametrize("count", ["", "two", "-1", "+1", " 1", "1.5", "1_0", "²", "\N{ARABIC-INDIC DIGIT ONE}"])
@pytest.mark.parametrize("name", ["intra_op_thread_count", "jpeg_short_side"])
def test_a_number_is_a_plain_one(count: str, name: str) -> None:
    text = f'parameters {{ key: "{name}" value {{ string_value: "{count}" }} }}'
    assert name in refusal(PLAIN + text)


@pytest.mark.parametrize(
    ("inputs", "more"),
    [
        (WARM_UP, "batch_size: 17"),
        (WARM_UP.replace("80", "-1"), ""),
        (WARM_UP.replace("80", "0"), ""),
        (WARM_UP.replace("224", "225"), ""),
        (WARM_UP.replace("80, ", ""), ""),
        (WARM_UP.replace("80", "80, 1"), ""),
        (WARM_UP.replace("UINT8", "FP32"), ""),
        (WARM_UP.replace('"image"', '"pixels"'), ""),
        (WARM_UP + WARM_UP.replace('"image"', '"pixels"'), ""),
        ("", "batch_size: 1"),
    ],
    ids=[
        "batch too large",
        "open size",
        "size 0",
        "other size",
        "dims missing",
        "dims too many",
        "datatype",
        "other input",
        "two inputs",
        "no input",
    ],
)
def test_a_warm_up_must_fit_the_input(inputs: str, more: str) -> None:
    assert "model_warmup 'first'" in refusal(PLAIN + f'model_warmup {{ name: "first" {inputs} {more} }}')


def test_a_warm_up_gives_every_input() -> None:
    second = 'input { name: "mask" data_type: TYPE_UINT8 dims: [ 1 ] }'
    assert "model_warmup 'first'" in refusal(PLAIN + second + f'model_warmup {{ name: "first" {WARM_UP} }}')


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("max_batch_size 16", "1:"),
        ('backend: "onnxruntime"\nbackand: "x"', "backand"),
        ('backend: "onnxruntime"\n\nmax_batch_size: "x"', "3:"),
        ('backend: "a"\nbackend: "b"', "backend"),
        ("dynamic_batching {} ensemble_scheduling {}", "ensemble_scheduling"),
        ("input {", "1:"),
        ("instance_group { kind: KIND_TPU }", "KIND_TPU"),
    ],
)
def test_a_syntax_error_says_what_and_where(text: str, says: str) -> None:
    message = refusal(text)
    assert "not a model configuration" in message
    assert says in message


@given(
    present=st.sets(st.integers(1, 30), max_size=8),
    latest=st.none() | st.integers(0, 9),
    specific=st.none() | st.sets(st.integers(1, 30), min_size=1, max_size=8),
    data=st.data(),
)
def test_the_version_policy_chooses_as_on_triton(
    present: set[int], latest: int | None, specific: set[int] | None, data: st.DataObject
) -> None:
    """Those that are named and there, or all, or the highest so many (one, unless said); always in order."""
    if specific is not None:
        policy, expected = f"specific {{ versions: {sorted(specific)} }}", present & specific
    elif latest is None:
        policy, expected = "all {}", present
    else:
        policy = f"latest {{ num_versions: {latest} }}" if latest else ""
        expected = {one for one in present if sum(other > one for other in present) < max(1, latest)}
    config = parse(PLAIN + f"version_policy {{ {policy} }}" if policy else PLAIN)
    assert config.versions.choose(data.draw(st.permutations(sorted(present)))) == sorted(expected)


@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite0_resize", "efficientnet_lite0_classify"])
def test_the_committed_models_are_parsed(name: str) -> None:
    path = Path(__file__).parents[2] / "model_repository" / name / "config.pbtxt"
    config = parse_model_config(path.read_text(encoding="utf-8"), name=name, where=str(path))
    assert config.inputs[0].datatype == "UINT8"
    assert config.inputs[0].shape[-1] == 3
    assert config.default_priority_level == min(1, config.priority_levels), "a client could push in"


@pytest.mark.parametrize("name", ["", "../model.onnx", "a/b.onnx", ".hidden", "model.onnx"])
def test_an_int8_graph_is_another_file_beside_the_graph(name: str) -> None:
    text = f'parameters {{ key: "int8_model_filename" value {{ string_value: "{name}" }} }}'
    assert f"parameters int8_model_filename is '{name}'; give the name of a file" in refusal(PLAIN + text)


def test_one_parameter_says_nothing_of_another() -> None:
    """Clients see the message as it was written."""
    text = 'parameters { key: "int8_model_filename" value { string_value: "q.onnx" } }'
    parsed = parse(PLAIN + text)
    assert (parsed.threads, list(parsed.message.parameters)) == (0, ["int8_model_filename"])
