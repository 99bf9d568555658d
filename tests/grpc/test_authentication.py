"""Over gRPC a key is asked for before a message is taken, of everybody but the probes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import grpc
import numpy as np
import pytest
import tritonclient.grpc
from tritonclient.grpc import service_pb2 as pb

from tests.testkit.grpc_messages import image_message
from tests.testkit.rpc import Channel, channel_to
from tests.testkit.serving_process import ServingProcess, serving

IMAGE: Final = image_message(np.zeros((1, 4, 4, 3), np.uint8))
KEY: Final = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServingProcess]:
    keys = tmp_path_factory.mktemp("keys") / "keys"
    keys.write_text(f"{KEY}\n", encoding="ascii")
    with serving("--backend", "null", "--api-keys-file", str(keys)) as process:
        yield process


@pytest.fixture
def channel(locked: ServingProcess) -> Iterator[Channel]:
    with channel_to(locked) as connection:
        yield connection


def bearer(key: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {key}"),)


def test_with_keys_only_health_is_open_to_all(locked: ServingProcess, channel: Channel) -> None:
    """The key is asked for before the message: who has none is refused although no message comes."""
    before = locked.metric("topfive_rejected_total", reason="unauthenticated")
    assert channel.ask("ServerReady").status == "OK"
    assert channel.ask("ServerLive").status == "OK"
    methods = [method.name for method in pb.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods]
    for method in methods:
        if method not in ("ServerLive", "ServerReady"):
            assert "Bearer" in channel.ask(method).assert_error("UNAUTHENTICATED", "unauthenticated")
    with channel.held() as call:
        assert call.code() is grpc.StatusCode.UNAUTHENTICATED
    assert locked.metric("topfive_rejected_total", reason="unauthenticated") == before + len(methods) - 1
    assert channel.ask("ServerMetadata", metadata=bearer(KEY)).status == "OK"


@pytest.mark.parametrize(
    "metadata",
    [
        bearer(KEY[:-1]),
        bearer(KEY) * 2,
        (("authorization", KEY),),
        (("authorization", f"Basic {KEY}"),),
        (("authorization-bin", f"Bearer {KEY}".encode()),),
    ],
)
def test_what_is_not_one_known_key_is_refused(channel: Channel, metadata: Any) -> None:
    channel.infer(IMAGE, metadata=metadata).assert_error("UNAUTHENTICATED", "unauthenticated")


def test_the_stock_client_can_send_a_key(locked: ServingProcess) -> None:
    with tritonclient.grpc.InferenceServerClient(locked.grpc_address) as client:
        headers = {"authorization": f"Bearer {KEY}"}
        assert client.get_server_metadata(headers=headers).name == "topfive"
        with pytest.raises(tritonclient.grpc.InferenceServerException, match="API key"):
            client.get_server_metadata()
