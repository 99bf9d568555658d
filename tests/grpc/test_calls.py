"""RPCs are held up to a bound, and nobody who is slow with a message keeps others out."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import Final

import pytest

from tests.testkit.fakes import settle
from topfive.access.spending import Limits
from topfive.access.tenants import Tenants
from topfive.ground.errors import DeadlineExceeded, MalformedRequest, MessageTooLarge, QueueFull
from topfive.grpc.calls import Calls

LONG: Final = 3600.0
MEBIBYTE: Final = 1 << 20
HERE: Final = "ipv4:10.0.0.1"
THERE: Final = "ipv6:%5B2001:db8::1%5D"


class Client:
    """Sends its message when the test says so."""

    def __init__(self, calls: Calls, address: str = HERE) -> None:
        self._call = calls.of(f"{address}:50000")
        self.message: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.rpc = asyncio.get_running_loop().create_task(self._serve())

    async def _read(self) -> object:
        return await self.message

    async def _serve(self) -> bytes:
        with self._call as call:
            message = await call.receive(self._read)
            await self.answered
        return message


def patient(most: int) -> Calls:
    return Calls(most, seconds=LONG, max_bytes=MEBIBYTE, patience_seconds=LONG)


def impatient(most: int) -> Calls:
    return Calls(most, seconds=LONG, max_bytes=MEBIBYTE, patience_seconds=0)


async def test_a_place_is_held_until_the_answer() -> None:
    calls = patient(1)
    client = Client(calls)
    client.message.set_result(b"message")
    await settle()
    assert repr(calls) == "<Calls 1/1 taken, 0 waited for>"
    client.answered.set_result(None)
    assert await client.rpc == b"message"
    assert repr(calls) == "<Calls 0/1 taken, 0 waited for>"


async def test_one_more_than_there_are_places_is_refused() -> None:
    calls = patient(2)
    held = [Client(calls) for _ in range(2)]
    await settle()
    with pytest.raises(QueueFull, match="2 are held, the most at once"), calls.of(f"{HERE}:1"):
        pass
    held[0].rpc.cancel()
    await settle()
    with calls.of(f"{HERE}:1"):
        assert repr(calls) == "<Calls 2/2 taken, 1 waited for>"
    held[1].rpc.cancel()


async def test_the_message_that_has_been_waited_for_longest_makes_room() -> None:
    """One for one, the oldest first; those whose message is here keep their places."""
    calls = impatient(3)
    served, first, second = (Client(calls) for _ in range(3))
    served.message.set_result(b"message")
    await settle()
    third = Client(calls)
    with pytest.raises(DeadlineExceeded, match="kept others waiting"):
        await first.rpc
    fourth = Client(calls)
    with pytest.raises(DeadlineExceeded):
        await second.rpc
    assert not any(client.rpc.done() for client in (served, third, fourth))
    for client in (third, fourth):
        client.message.set_result(b"message")
    await settle()
    with pytest.raises(QueueFull), calls.of(f"{HERE}:1"):
        pass
    for client in (served, third, fourth):
        client.answered.set_result(None)
        assert await client.rpc == b"message"
    assert repr(calls) == "<Calls 0/3 taken, 0 waited for>"


async def test_several_at_once_each_get_the_place_of_another() -> None:
    calls = impatient(2)
    slow = [Client(calls) for _ in range(2)]
    await settle()
    new = [Client(calls) for _ in range(3)]  # all before the slow ones have been told
    await settle()
    assert [type(client.rpc.exception()) for client in slow] == [DeadlineExceeded] * 2
    assert [client.rpc.done() for client in new] == [True, False, False]  # the third takes that of the first
    for client in new[1:]:
        client.rpc.cancel()
    await settle()
    assert repr(calls) == "<Calls 0/2 taken, 0 waited for>"


async def test_an_address_that_waits_in_all_places_gives_one_to_another_at_once() -> None:
    """The oldest, and down to an equal share; those whose message is here keep their places."""
    calls = patient(4)
    served, *slow = [Client(calls, HERE) for _ in range(4)]
    served.message.set_result(b"message")
    await settle()
    first, second = Client(calls, THERE), Client(calls, THERE)
    await settle()
    assert [client.rpc.done() for client in (served, *slow, first, second)] == [False, True, False, False, False, True]
    assert isinstance(slow[0].rpc.exception(), DeadlineExceeded)
    assert isinstance(second.rpc.exception(), QueueFull)


async def test_an_address_that_has_more_takes_no_place_of_one_that_has_less() -> None:
    """However long that one is waited for; its own oldest makes room, if it has had its time."""
    calls = impatient(3)
    modest, first, second = Client(calls, THERE), Client(calls, HERE), Client(calls, HERE)
    await settle()
    late = Client(calls, HERE)
    await settle()
    assert [client.rpc.done() for client in (modest, first, second, late)] == [False, True, False, False]
    assert isinstance(first.rpc.exception(), DeadlineExceeded)


async def test_where_all_have_one_address_only_time_counts() -> None:
    """As behind a proxy."""
    calls = patient(2)
    waiting = [Client(calls) for _ in range(3)]
    await settle()
    assert [client.rpc.done() for client in waiting] == [False, False, True]
    assert isinstance(waiting[2].rpc.exception(), QueueFull)


async def test_a_message_that_does_not_come_in_time_is_given_up() -> None:
    calls = Calls(1, seconds=0, max_bytes=MEBIBYTE, patience_seconds=LONG)
    with pytest.raises(DeadlineExceeded, match="did not come within 0 s"):
        await Client(calls).rpc
    assert repr(calls) == "<Calls 0/1 taken, 0 waited for>"


async def test_an_rpc_without_a_message_is_refused() -> None:
    calls = patient(1)
    client = Client(calls)
    client.message.set_result(None)
    with pytest.raises(MalformedRequest, match="no message"):
        await client.rpc
    assert repr(calls) == "<Calls 0/1 taken, 0 waited for>"


async def test_an_error_in_reading_gives_the_place_back() -> None:
    calls = patient(1)
    client = Client(calls)
    client.message.set_exception(RuntimeError("gone"))
    with pytest.raises(RuntimeError, match="gone"):
        await client.rpc
    assert repr(calls) == "<Calls 0/1 taken, 0 waited for>"


async def test_a_message_over_the_limit_is_told_what_to_do_and_gives_its_place_back() -> None:
    calls = Calls(1, seconds=LONG, max_bytes=4)
    longest, longer = Client(calls), b"12345"
    longest.message.set_result(b"1234")
    longest.answered.set_result(None)
    assert await longest.rpc == b"1234"
    refused = Client(calls)
    refused.message.set_result(longer)
    with pytest.raises(MessageTooLarge, match=r"5 bytes, and gRPC takes at most 4: .*HTTP.*grpc_max_message_bytes"):
        await refused.rpc
    assert repr(calls) == "<Calls 0/1 taken, 0 waited for>"


async def test_a_tenant_that_floods_leaves_places_to_others() -> None:
    """And has them all again when they are given back."""
    known = Tenants().replace({"flood": Limits(), "light": Limits()})
    calls = patient(10)
    with ExitStack() as held:
        for _ in range(8):
            held.enter_context(calls.of(f"{HERE}:1", known["flood"]))
        with pytest.raises(
            QueueFull, match=r"8 of at most 10 are held \(grpc_max_requests\), and your key has its share"
        ):
            held.enter_context(calls.of(f"{HERE}:1", known["flood"]))
        held.enter_context(calls.of(f"{HERE}:1", known["light"]))
        assert calls.taken == 9
    with calls.of(f"{HERE}:1", known["flood"]):
        assert calls.taken == 1
