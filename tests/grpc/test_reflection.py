"""Clients without a description of the services are told what they look like, by either version of reflection."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import grpc
import numpy as np
import pytest
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from tritonclient.grpc import service_pb2 as pb

from tests.testkit.grpc_messages import image_message
from tests.testkit.rpc import Channel, channel_to
from tests.testkit.serving_process import ServingProcess, serving
from topfive.grpc.protos import message_class

INFERENCE: Final = "inference.GRPCInferenceService"
HEALTH: Final = "grpc.health.v1.Health"
VERSIONS: Final = ("v1", "v1alpha")
NOT_FOUND, UNIMPLEMENTED = 5, 12


class Asked:
    """A client that knows one version of the protocol."""

    def __init__(self, channel: Channel, version: str) -> None:
        self._call = channel.stream_stream(f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo")
        self._request = message_class(f"grpc.reflection.{version}.ServerReflectionRequest")
        self._answer = message_class(f"grpc.reflection.{version}.ServerReflectionResponse")

    def ask(self, *questions: dict[str, Any]) -> list[Any]:
        """All on one stream."""
        requests = [self._request(**question).SerializeToString() for question in questions]
        return [self._answer.FromString(answer) for answer in self._call(iter(requests), timeout=60)]

    def files(self, **question: Any) -> list[FileDescriptorProto]:
        (answer,) = self.ask(question)
        return [*map(FileDescriptorProto.FromString, answer.file_descriptor_response.file_descriptor_proto)]


@pytest.fixture(scope="module")
def channel(service: ServingProcess) -> Iterator[Channel]:
    with channel_to(service) as connection:
        yield connection


@pytest.mark.parametrize("version", VERSIONS)
def test_the_services_are_listed(channel: Channel, version: str) -> None:
    (answer,) = Asked(channel, version).ask({"list_services": "*", "host": "here"})
    names = [service.name for service in answer.list_services_response.service]
    assert {INFERENCE, HEALTH} < set(names)
    assert (answer.valid_host, answer.original_request.list_services) == ("here", "*")


@pytest.mark.parametrize("version", VERSIONS)
def test_every_listed_service_can_be_built_from_what_is_told(channel: Channel, version: str) -> None:
    """All that a file needs comes with it; so an RPC can be made that the client knew nothing of."""
    asked = Asked(channel, version)
    (answer,) = asked.ask({"list_services": ""})
    pool: Any = descriptor_pool.DescriptorPool()
    for service in answer.list_services_response.service:
        for file in reversed(asked.files(file_containing_symbol=service.name)):
            pool.Add(file)
        assert pool.FindServiceByName(service.name).methods
    method = pool.FindMethodByName(f"{INFERENCE}.ModelInfer")
    kind = message_factory.GetMessageClass(method.input_type)
    pixels = np.full((1, 4, 4, 3), 7, np.uint8)
    request = kind.FromString(image_message(pixels, model_name="efficientnet_lite0").SerializeToString())
    reply = channel.infer(request.SerializeToString())
    answered: Any = message_factory.GetMessageClass(method.output_type).FromString(reply.message)
    assert answered.model_name == "efficientnet_lite0"


@pytest.mark.parametrize(
    "question",
    [
        {"file_containing_symbol": f"{INFERENCE}.ModelInfer"},
        {"file_containing_symbol": "inference.ModelInferRequest"},
        {"file_by_filename": pb.DESCRIPTOR.name},
    ],
)
def test_a_file_is_found_by_what_is_in_it_and_by_its_name(channel: Channel, question: dict[str, str]) -> None:
    files = Asked(channel, "v1").files(**question)
    assert files[0].name == pb.DESCRIPTOR.name
    assert {file.name for file in files} > set(files[0].dependency)


@pytest.mark.parametrize(
    ("question", "code"),
    [
        ({"file_containing_symbol": "inference.Nope"}, NOT_FOUND),
        ({"file_containing_symbol": ""}, NOT_FOUND),
        ({"file_containing_symbol": "google.protobuf.FileDescriptorProto"}, NOT_FOUND),
        ({"file_by_filename": "../../etc/passwd"}, NOT_FOUND),
        ({"all_extension_numbers_of_type": "inference.ModelInferRequest"}, NOT_FOUND),
        ({"file_containing_extension": {"containing_type": "x", "extension_number": 1}}, NOT_FOUND),
        ({}, UNIMPLEMENTED),
    ],
)
def test_what_is_not_there_is_an_answer_and_the_stream_goes_on(
    channel: Channel, question: dict[str, Any], code: int
) -> None:
    refused, listed = Asked(channel, "v1").ask(question, {"list_services": ""})
    assert refused.error_response.error_code == code
    assert refused.error_response.error_message
    assert listed.list_services_response.service


def test_a_stream_of_questions_has_an_end(channel: Channel) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        Asked(channel, "v1").ask(*[{}] * 1001)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_with_keys_it_needs_one_and_a_setting_turns_it_off(tmp_path: Path) -> None:
    key = "0123456789abcdef0123456789abcdef"
    keys = tmp_path / "keys"
    keys.write_text(f"{key}\n", encoding="ascii")
    flags = (("--api-keys-file", str(keys)), ("--no-grpc-reflection",))
    codes = []
    for flag in flags:
        with serving("--backend", "null", *flag) as process, channel_to(process) as channel:
            with pytest.raises(grpc.RpcError) as refused:
                Asked(channel, "v1").ask({"list_services": ""})
            codes.append(refused.value.code().name)
    assert codes == ["UNAUTHENTICATED", "UNIMPLEMENTED"]
