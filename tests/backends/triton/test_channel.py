"""Behind one name there may be several Tritons: each gets its share, and what one cannot answer another does."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, Final

import grpc
import grpc.aio
import pytest
from tritonclient.grpc import service_pb2 as pb

from topfive.backends.triton.channel import Channel
from topfive.ground.errors import BackendUnreachable

SECONDS: Final = 30.0
REQUEST: Final = pb.ModelInferRequest(model_name="m").SerializeToString()


class Server:
    """Answers `ModelInfer` with its name; while it is `away`, as gRPC answers for a server that has died."""

    def __init__(self, name: str) -> None:
        self.away = False
        self.asked = 0
        self._name = name
        self._server = grpc.aio.server()
        handler = grpc.unary_unary_rpc_method_handler(
            self._answer, response_serializer=pb.ModelInferResponse.SerializeToString
        )
        service = "inference.GRPCInferenceService"
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"ModelInfer": handler}),))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    async def start(self) -> None:
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop(0)

    async def _answer(self, _: bytes, context: Any) -> Any:
        self.asked += 1
        if self.away:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")
        return pb.ModelInferResponse(model_name=self._name)


@pytest.fixture
async def pair() -> AsyncIterator[tuple[Server, Server]]:
    servers = Server("one"), Server("other")
    for server in servers:
        await server.start()
    yield servers
    for server in servers:
        await server.stop()


@pytest.fixture
async def channel(pair: tuple[Server, Server]) -> AsyncIterator[Channel]:
    """To both; both have been connected to."""
    made = Channel("ipv4:" + ",".join(server.address for server in pair), timeout_seconds=SECONDS)
    found: set[str] = set()
    for _ in range(1000):  # the other may be connected to a little later
        found |= {await answered(made)}
        if len(found) == len(pair):
            break
    yield made
    await made.close()


async def answered(channel: Channel) -> str:
    """Who answers a batch."""
    return str((await channel.infer(REQUEST, SECONDS)).model_name)


async def test_each_of_several_gets_its_share(channel: Channel) -> None:
    assert Counter([await answered(channel) for _ in range(20)]) == {"one": 10, "other": 10}


async def test_a_batch_that_one_cannot_answer_goes_to_another(channel: Channel, pair: tuple[Server, Server]) -> None:
    pair[0].away, before = True, pair[0].asked
    assert [await answered(channel) for _ in range(10)] == ["other"] * 10
    assert pair[0].asked > before


async def test_tritons_that_all_refuse_are_not_asked_thrice_as_much(
    channel: Channel, pair: tuple[Server, Server]
) -> None:
    """Fifty tokens are spent; from then on each batch is sent once."""
    for server in pair:
        server.away, server.asked = True, 0
    for _ in range(150):
        with pytest.raises(BackendUnreachable):
            await answered(channel)
    assert 150 < pair[0].asked + pair[1].asked < 150 + 60


async def test_one_that_has_gone_is_left_out(channel: Channel, pair: tuple[Server, Server]) -> None:
    await pair[0].stop()
    assert [await answered(channel) for _ in range(10)] == ["other"] * 10


async def test_if_none_can_answer_they_cannot_be_reached(channel: Channel, pair: tuple[Server, Server]) -> None:
    for server in pair:
        await server.stop()
    with pytest.raises(BackendUnreachable, match="UNAVAILABLE"):
        await answered(channel)


async def test_one_alone_is_asked_once(pair: tuple[Server, Server]) -> None:
    """Nobody else could answer in its place, and a queue that is full is not helped by asking twice."""
    pair[0].away = True
    alone = Channel(pair[0].address, timeout_seconds=SECONDS)
    with pytest.raises(BackendUnreachable):
        await answered(alone)
    assert pair[0].asked == 1
    await alone.close()
