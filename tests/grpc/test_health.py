"""gRPC's own health protocol: probes and balancers learn where to send requests, and when no longer."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from tritonclient.grpc import service_pb2 as pb

from tests.testkit.rpc import Channel, channel_to
from tests.testkit.serving_process import ServingProcess, serving
from tests.testkit.tiny_models import endless_start, write_tiny_repository

HEALTH: Final = "/grpc.health.v1.Health/"
INFERENCE: Final = "inference.GRPCInferenceService"
MODEL: Final = "efficientnet_lite0"
CLASSIFIER: Final = "efficientnet_lite0_classify"
STATUSES: Final = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")


def as_field(text: str) -> bytes:
    """A message of one short string, its field number 1: written by hand, to share no code with the service."""
    return b"\x0a" + bytes([len(text)]) + text.encode() if text else b""


def status_in(message: bytes) -> str:
    assert message[:1] in (b"", b"\x08"), message
    return STATUSES[message[1] if message else 0]


def check(channel: Channel, name: str, **named: Any) -> str:
    reply = channel.ask(f"{HEALTH}Check", as_field(name), **named)
    return status_in(reply.message) if reply.status == "OK" else reply.status


class Watch:
    """A `Watch` of `name`, read one status at a time."""

    def __init__(self, channel: Channel, name: str) -> None:
        self.call = channel.unary_stream(f"{HEALTH}Watch")(as_field(name), timeout=60)

    def next(self) -> str:
        return status_in(next(self.call))

    def end(self) -> str:
        """How it ended; nothing more is told before that."""
        with pytest.raises(grpc.RpcError) as ended:
            next(self.call)
        code: str = ended.value.code().name
        return code


@pytest.fixture(scope="module")
def channel(service: ServingProcess) -> Iterator[Channel]:
    with channel_to(service) as connection:
        yield connection


@pytest.mark.parametrize("name", ["", INFERENCE, MODEL, f"{MODEL}/1", CLASSIFIER, f"{CLASSIFIER}/1", f"{MODEL}/001"])
def test_what_is_served_is_serving(channel: Channel, name: str) -> None:
    assert check(channel, name) == "SERVING"


@pytest.mark.parametrize(
    "name",
    [
        "nope",
        f"{MODEL}/2",
        f"{MODEL}/",
        f"{MODEL}/one",
        f"{MODEL}/+1",
        f"/{MODEL}",
        f"{MODEL}_resize",
        "inference",
        "/",
    ],
)
def test_what_is_not_known_is_not_found_and_says_what_is(channel: Channel, name: str) -> None:
    text = channel.ask(f"{HEALTH}Check", as_field(name)).assert_error("NOT_FOUND", "unknown_model")
    assert INFERENCE in text


def test_the_list_has_all_that_can_be_asked_for(channel: Channel) -> None:
    """As the protocol's text describes its answer: a map of names to statuses."""
    file = descriptor_pb2.FileDescriptorProto(name="list", package="list", syntax="proto3")
    pair = descriptor_pb2.DescriptorProto(name="Pair")
    pair.field.add(name="key", number=1, label=1, type=9)
    pair.field.add(name="value", number=2, label=1, type=12)
    file.message_type.append(pair)
    file.message_type.add(name="List").field.add(name="pairs", number=1, label=3, type=11, type_name=".list.Pair")
    pool: Any = descriptor_pool.DescriptorPool()
    pool.Add(file)
    answer = channel.ask(f"{HEALTH}List").read(message_factory.GetMessageClass(pool.FindMessageTypeByName("list.List")))
    names = ("", INFERENCE, MODEL, f"{MODEL}/1", CLASSIFIER, f"{CLASSIFIER}/1")
    assert {pair.key: status_in(pair.value) for pair in answer.pairs} == dict.fromkeys(names, "SERVING")


@pytest.mark.parametrize("method", ["Check", "List", "Watch"])
def test_what_is_no_message_is_refused(channel: Channel, method: str) -> None:
    text = channel.ask(f"{HEALTH}{method}", b"\x0a\x05abc").assert_error("INVALID_ARGUMENT", "malformed_request")
    assert "the message is not a Health" in text


def test_while_it_starts_nothing_is_serving_and_watchers_hear_when_it_is(tmp_path: Path) -> None:
    with ServingProcess("--model-repository", str(endless_start(tmp_path / "models"))) as process:
        with channel_to(process) as channel:
            assert [check(channel, name) for name in ("", INFERENCE, "tiny", "x")] == ["NOT_SERVING"] * 4
        assert process.stop() == 0


def ask_control(channel: Channel, method: str, name: str) -> None:
    assert channel.ask(method, pb.RepositoryModelLoadRequest(model_name=name)).status == "OK"


def test_watchers_hear_of_models_that_come_and_go(tmp_path: Path) -> None:
    """A model that was unloaded is known still; one that was never there is not, and may come."""
    repository = write_tiny_repository(tmp_path / "models")
    with (
        serving("--model-repository", str(repository), "--model-control", "explicit") as process,
        channel_to(process) as channel,
    ):
        watches = {name: Watch(channel, name) for name in ("tiny", "tiny/1", "", "new")}
        assert {name: watch.next() for name, watch in watches.items()} == {
            "tiny": "SERVING",
            "tiny/1": "SERVING",
            "": "SERVING",
            "new": "SERVICE_UNKNOWN",
        }
        ask_control(channel, "RepositoryModelUnload", "tiny")
        assert [watches["tiny"].next(), watches["tiny/1"].next()] == ["NOT_SERVING"] * 2
        assert check(channel, "tiny") == "NOT_SERVING"
        assert check(channel, "classify") == "SERVING"
        ask_control(channel, "RepositoryModelLoad", "tiny")
        assert [watches["tiny"].next(), watches["tiny/1"].next()] == ["SERVING"] * 2
        config = (repository / "tiny" / "config.pbtxt").read_text().replace('"tiny"', '"new"')
        (repository / "new" / "1").mkdir(parents=True)
        (repository / "new" / "config.pbtxt").write_text(config)
        ask_control(channel, "RepositoryModelLoad", "new")
        assert watches["new"].next() == "SERVING"
        assert process.stop() == 0
        for name, watch in watches.items():
            assert (name, watch.next(), watch.end()) == (name, "NOT_SERVING", "UNAVAILABLE")


def test_in_the_grace_it_says_not_serving_and_a_stop_does_not_wait_for_watchers() -> None:
    """Probes and watchers are told while requests are still served; then the stop lets the watchers go."""
    with (
        serving("--backend", "null", "--drain-grace-seconds", "3600") as process,
        channel_to(process) as channel,
    ):
        watches = [Watch(channel, name) for name in ("", MODEL)]
        assert [watch.next() for watch in watches] == ["SERVING"] * 2
        process.signal(signal.SIGTERM)
        assert [watch.next() for watch in watches] == ["NOT_SERVING"] * 2
        assert [check(channel, name) for name in ("", INFERENCE, MODEL)] == ["NOT_SERVING"] * 3
        assert channel.ask("ServerLive").status == "OK"
        assert check(channel, "nope") == "NOT_FOUND"
        process.signal(signal.SIGTERM)
        assert [watch.end() for watch in watches] == ["UNAVAILABLE"] * 2
        assert process.wait() == 0
    assert "Traceback" not in "".join(process.log)


def test_no_more_watchers_than_may_be_and_one_that_leaves_makes_room() -> None:
    with serving("--backend", "null", "--max-connections", "2") as process, channel_to(process) as channel:
        first, second = Watch(channel, ""), Watch(channel, MODEL)
        assert [first.next(), second.next()] == ["SERVING"] * 2
        assert Watch(channel, "").end() == "RESOURCE_EXHAUSTED"
        first.call.cancel()

        def there_is_room() -> bool:
            third = Watch(channel, "")
            try:
                return third.next() == "SERVING"
            except grpc.RpcError:
                return False

        process.wait_until(there_is_room)
        assert check(channel, "") == "SERVING"


def test_a_probe_is_answered_while_no_inference_could_be() -> None:
    """Its places are its own."""
    with (
        serving("--backend", "null", "--grpc-max-requests", "1") as process,
        channel_to(process) as channel,
        channel.held("ModelInfer"),
        channel_to(process) as other,
        other.held("ModelMetadata"),
        channel_to(process) as probe,
    ):
        assert check(probe, MODEL) == "SERVING"


def test_with_keys_it_is_open_to_all(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("0123456789abcdef0123456789abcdef\n", encoding="ascii")
    with serving("--backend", "null", "--api-keys-file", str(keys)) as process, channel_to(process) as channel:
        assert check(channel, MODEL) == "SERVING"
        assert Watch(channel, "").next() == "SERVING"
        assert channel.ask(f"{HEALTH}List").status == "OK"
        assert channel.ask("ServerMetadata").status == "UNAUTHENTICATED"


def test_each_of_several_processes_answers(several: ServingProcess) -> None:
    for _ in range(4):
        with channel_to(several) as channel:
            assert check(channel, MODEL) == "SERVING"


def test_who_serves_nothing_is_not_serving(tmp_path: Path) -> None:
    """Watchers of the server hear of it, and of its end."""
    repository = write_tiny_repository(tmp_path / "models")
    with (
        serving("--model-repository", str(repository), "--model-control", "explicit") as process,
        channel_to(process) as channel,
    ):
        watch = Watch(channel, "")
        assert watch.next() == "SERVING"
        unload = pb.RepositoryModelUnloadRequest(model_name="tiny")
        unload.parameters["unload_dependents"].bool_param = True
        assert channel.ask("RepositoryModelUnload", unload).status == "OK"
        assert watch.next() == "NOT_SERVING"
        assert [check(channel, name) for name in ("", INFERENCE, "tiny")] == ["NOT_SERVING"] * 3
        ask_control(channel, "RepositoryModelLoad", "tiny")
        assert watch.next() == "SERVING"
