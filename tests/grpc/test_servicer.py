"""Every RPC of Triton's service is answered or refused: health, descriptions, model control, what is not offered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from google.protobuf.json_format import MessageToDict
from tritonclient.grpc import service_pb2 as pb

from tests.testkit.rpc import Channel, channel_to
from tests.testkit.serving_process import ServingProcess, serving
from tests.testkit.tiny_models import endless_start, write_tiny_repository

MODEL: Final = "efficientnet_lite0"
CLASSIFIER: Final = "efficientnet_lite0_classify"
NOT_OFFERED: Final = {
    "ModelStreamInfer": "by ModelInfer",
    "SystemSharedMemoryStatus": "tensors in the request",
    "SystemSharedMemoryRegister": "tensors in the request",
    "SystemSharedMemoryUnregister": "tensors in the request",
    "CudaSharedMemoryStatus": "tensors in the request",
    "CudaSharedMemoryRegister": "tensors in the request",
    "CudaSharedMemoryUnregister": "tensors in the request",
    "TraceSetting": "/metrics",
    "LogSettings": "log_level",
}
DESCRIPTIONS: Final = ("ModelMetadata", "ModelConfig", "ModelStatistics")
CONTROL: Final = ("RepositoryIndex", "RepositoryModelLoad", "RepositoryModelUnload")


@pytest.fixture(scope="module")
def channel(service: ServingProcess) -> Iterator[Channel]:
    with channel_to(service) as connection:
        yield connection


def json_of(message: Any) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)


def test_every_rpc_of_the_service_has_an_answer_of_ours(channel: Channel) -> None:
    """None is unknown to the server, whose own word for that has no code."""
    names = [method.name for method in pb.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods]
    assert set(NOT_OFFERED) < set(names)
    replies = {name: channel.ask(name) for name in names}
    assert [name for name, reply in replies.items() if reply.status != "OK" and "code" not in reply.metadata] == []
    assert channel.ask("NoSuchRpc").status == "UNIMPLEMENTED"


@pytest.mark.parametrize(("method", "instead"), NOT_OFFERED.items())
def test_what_is_not_offered_says_what_to_do_instead(channel: Channel, method: str, instead: str) -> None:
    text = channel.ask(method).assert_error("UNIMPLEMENTED", "unsupported")
    assert method in text
    assert instead in text


def test_health_is_answered_without_waiting_for_its_message(channel: Channel) -> None:
    with channel.held("ServerLive") as live, channel.held("ServerReady") as ready:
        assert pb.ServerLiveResponse.FromString(live.result()).live
        assert pb.ServerReadyResponse.FromString(ready.result()).ready


@pytest.mark.parametrize(
    ("name", "version", "ready"),
    [(MODEL, "", True), (MODEL, "1", True), (MODEL, "2", False), (MODEL, "one", False), ("", "", False)],
)
def test_a_model_that_is_not_served_is_not_ready_and_no_error(
    channel: Channel, name: str, version: str, ready: bool
) -> None:
    reply = channel.ask("ModelReady", pb.ModelReadyRequest(name=name, version=version))
    assert reply.read(pb.ModelReadyResponse).ready is ready


@pytest.mark.parametrize(
    ("method", "request_kind", "answer_kind", "path"),
    [
        ("ServerMetadata", pb.ServerMetadataRequest, pb.ServerMetadataResponse, "/v2"),
        ("ModelMetadata", pb.ModelMetadataRequest, pb.ModelMetadataResponse, f"/v2/models/{MODEL}"),
        ("ModelStatistics", pb.ModelStatisticsRequest, pb.ModelStatisticsResponse, f"/v2/models/{MODEL}/stats"),
        ("ModelStatistics", pb.ModelStatisticsRequest, pb.ModelStatisticsResponse, "/v2/models/stats"),
        ("ModelConfig", pb.ModelConfigRequest, pb.ModelConfigResponse, f"/v2/models/{MODEL}/config"),
        ("ModelConfig", pb.ModelConfigRequest, pb.ModelConfigResponse, f"/v2/models/{CLASSIFIER}/config"),
    ],
)
def test_descriptions_say_what_rest_says(
    service: ServingProcess, channel: Channel, method: str, request_kind: Any, answer_kind: Any, path: str
) -> None:
    parts = path.split("/")
    named = {"name": parts[3]} if len(parts) > 3 and parts[3] != "stats" else {}
    said = json_of(channel.ask(method, request_kind(**named)).read(answer_kind))
    rest = service.ask("GET", path).json
    expected = {"config": rest} if method == "ModelConfig" else rest
    assert as_numbers(said) == as_numbers(expected)


def as_numbers(value: Any) -> Any:
    """With numbers for strings of digits, as which protobuf's JSON has 64-bit ones."""
    if isinstance(value, dict):
        return {key: as_numbers(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [as_numbers(entry) for entry in value]
    return int(value) if isinstance(value, str) and value.lstrip("-").isdigit() else value


@pytest.mark.parametrize("method", DESCRIPTIONS)
@pytest.mark.parametrize(("name", "version"), [("nope", ""), (MODEL, "2"), (MODEL, "+1"), ("nope", "1")])
def test_a_description_of_what_is_not_served_is_not_found(
    channel: Channel, method: str, name: str, version: str
) -> None:
    request = pb.ModelMetadataRequest(name=name, version=version)  # all three have these fields
    assert "served" in channel.ask(method, request).assert_error("NOT_FOUND", "unknown_model")


@pytest.mark.parametrize("method", ["ModelReady", "ServerMetadata", *DESCRIPTIONS, *CONTROL, "ModelInfer"])
def test_what_is_no_message_is_refused(channel: Channel, method: str) -> None:
    text = channel.ask(method, b"\x0a\x05abc").assert_error("INVALID_ARGUMENT", "malformed_request")
    assert "the message is not a " in text


@pytest.mark.parametrize("method", ["ModelReady", "ModelMetadata", "RepositoryModelLoad"])
def test_an_rpc_without_a_message_is_refused(channel: Channel, method: str) -> None:
    assert "no message" in channel.stream(method, []).assert_error("INVALID_ARGUMENT", "malformed_request")


def test_an_error_carries_the_clients_own_request_id(channel: Channel) -> None:
    given = (("x-request-id", "a1-b2"),)
    assert channel.ask("ModelMetadata", metadata=given).metadata["x-request-id"] == "a1-b2"
    assert channel.ask("LogSettings", metadata=given).metadata["x-request-id"] == "a1-b2"


@pytest.mark.parametrize("name", ["config", "file:1/model.onnx"])
def test_a_model_is_not_taken_from_a_message(channel: Channel, name: str) -> None:
    request = pb.RepositoryModelLoadRequest(model_name=MODEL)
    request.parameters[name].string_param = "{}"
    text = channel.ask("RepositoryModelLoad", request).assert_error("UNIMPLEMENTED", "unsupported")
    assert name in text


def test_a_flag_that_is_none_is_refused(channel: Channel) -> None:
    request = pb.RepositoryModelUnloadRequest(model_name=MODEL)
    request.parameters["unload_dependents"].int64_param = 1
    reply = channel.ask("RepositoryModelUnload", request)
    assert "'unload_dependents' must be true or false" in reply.assert_error("INVALID_ARGUMENT", "malformed_request")


def test_while_it_starts_it_is_live_and_not_ready(tmp_path: Path) -> None:
    """Whoever asks for more is told to come again."""
    with ServingProcess("--model-repository", str(endless_start(tmp_path / "models"))) as process:
        with channel_to(process) as channel:
            assert channel.ask("ServerLive").read(pb.ServerLiveResponse).live
            assert not channel.ask("ServerReady").read(pb.ServerReadyResponse).ready
            request = pb.ModelReadyRequest(name=MODEL)
            assert not channel.ask("ModelReady", request).read(pb.ModelReadyResponse).ready
            assert channel.ask("ServerMetadata").read(pb.ServerMetadataResponse).name == "topfive"
            for method in (*DESCRIPTIONS, "ModelInfer"):
                reply = channel.ask(method)
                reply.assert_error("UNAVAILABLE", "not_ready")
                assert int(reply.metadata["retry-after"]) >= 1
        assert process.stop() == 0


def test_statistics_that_one_of_several_processes_cannot_know_are_refused(several: ServingProcess) -> None:
    with channel_to(several) as channel:
        text = channel.ask("ModelStatistics").assert_error("UNIMPLEMENTED", "unsupported")
        assert "/metrics" in text
        assert "statistics" not in channel.ask("ServerMetadata").read(pb.ServerMetadataResponse).extensions


def test_the_index_can_leave_out_what_is_not_ready(channel: Channel) -> None:
    for ready in (False, True):
        reply = channel.ask("RepositoryIndex", pb.RepositoryIndexRequest(ready=ready))
        entries = [(entry.name, entry.version, entry.state) for entry in reply.read(pb.RepositoryIndexResponse).models]
        assert entries == [(name, "1", "READY") for name in (MODEL, CLASSIFIER, f"{MODEL}_resize")]


@pytest.fixture(scope="module")
def controlled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServingProcess, Path]]:
    """A service whose clients may load and unload, and its repository; each test leaves all models served."""
    repository = write_tiny_repository(tmp_path_factory.mktemp("controlled"))
    with serving("--model-repository", str(repository), "--model-control", "explicit") as process:
        yield process, repository


def test_models_come_and_go_by_request_where_a_setting_allows_it(controlled: tuple[ServingProcess, Path]) -> None:
    with channel_to(controlled[0]) as channel:

        def ready() -> bool:
            answer: bool = (
                channel.ask("ModelReady", pb.ModelReadyRequest(name="tiny")).read(pb.ModelReadyResponse).ready
            )
            return answer

        extensions = channel.ask("ServerMetadata").read(pb.ServerMetadataResponse).extensions
        assert {"model_repository", "model_repository(unload_dependents)"} <= set(extensions)
        unload = pb.RepositoryModelUnloadRequest(model_name="tiny")
        unload.parameters["unload_dependents"].bool_param = False
        assert channel.ask("RepositoryModelUnload", unload).status == "OK"
        assert not ready()
        assert channel.ask("RepositoryModelLoad", pb.RepositoryModelLoadRequest(model_name="tiny")).status == "OK"
        assert ready()
        for method in ("RepositoryModelLoad", "RepositoryModelUnload"):
            request = pb.RepositoryModelLoadRequest(model_name="nope")  # the fields of both
            channel.ask(method, request).assert_error("NOT_FOUND", "unknown_model")


def test_a_load_is_seen_through_though_its_client_leaves(controlled: tuple[ServingProcess, Path]) -> None:
    process, _ = controlled
    with channel_to(process) as channel:
        request = pb.RepositoryModelUnloadRequest(model_name="tiny")
        assert channel.ask("RepositoryModelUnload", request).status == "OK"
        with channel_to(process) as impatient:
            impatient.ask("RepositoryModelLoad", pb.RepositoryModelLoadRequest(model_name="tiny"), seconds=0.02)
        ready = pb.ModelReadyRequest(name="tiny")
        process.wait_until(lambda: channel.ask("ModelReady", ready).read(pb.ModelReadyResponse).ready)


def test_a_model_that_cannot_be_loaded_says_why(controlled: tuple[ServingProcess, Path]) -> None:
    """FAILED_PRECONDITION: it is the repository that must be put right; what is served is served on."""
    process, repository = controlled
    with channel_to(process) as channel:
        graph = repository / "classify" / "1" / "model.onnx"
        good = graph.read_bytes()
        graph.write_bytes(b"broken")
        reply = channel.ask("RepositoryModelLoad", pb.RepositoryModelLoadRequest(model_name="classify"))
        graph.write_bytes(good)
        assert "model.onnx" in reply.assert_error("FAILED_PRECONDITION", "configuration")
        ready = channel.ask("ModelReady", pb.ModelReadyRequest(name="classify"))
        assert ready.read(pb.ModelReadyResponse).ready
