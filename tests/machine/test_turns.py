"""Of those who have more to do than one turn allows, one goes on in each turn, in order, and all do in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.testkit.fakes import settle
from topfive.machine.turns import Turns


def worker(turns: Turns, log: list[str], name: str, times: int) -> Callable[[], None]:
    """Works in so many turns."""

    def go_on() -> None:
        nonlocal times
        log.append(name)
        times -= 1
        if times:
            turns.ask(go_on)

    return go_on


async def test_each_turn_is_one_workers_in_the_order_in_which_they_asked() -> None:
    turns, log = Turns(), list[str]()
    for name, times in (("a", 3), ("b", 1), ("c", 2)):
        turns.ask(worker(turns, log, name, times))
    counts = []
    for _ in range(8):
        counts.append(len(log))
        await asyncio.sleep(0)
    assert "".join(log) == "abcaca"
    assert counts == [0, 1, 2, 3, 4, 5, 6, 6]


async def test_one_that_fails_holds_up_nobody() -> None:
    turns, log, failed = Turns(), list[str](), list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context["exception"]))

    def fail() -> None:
        raise OSError("gone")

    turns.ask(fail)
    turns.ask(worker(turns, log, "a", 2))
    await settle()
    assert log == ["a", "a"]
    assert [type(error) for error in failed] == [OSError]
