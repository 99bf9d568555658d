"""A region leaves no file behind, its blocks do not overlap, and a block is free only when its call has ended."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from topfive.backends.triton import shared_memory
from topfive.backends.triton.shared_memory import Region
from topfive.ground.errors import ConfigurationError

pytestmark = pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="there is no /dev/shm here")


def test_blocks_hold_what_is_written_and_do_not_overlap() -> None:
    region = Region(blocks=3, block_bytes=24)
    region.forget_file()
    images = [np.full((2, 2, 3), number, np.uint8) for number in range(6)]
    for number, block in enumerate(region.free):
        assert block.write(images[2 * number : 2 * number + 2]) == 24
    assert bytes(region.memory) == b"".join(image.tobytes() for image in images)
    assert [block.offset for block in region.free] == [0, 24, 48]


def test_the_memory_outlives_its_file() -> None:
    region = Region(blocks=1, block_bytes=12)
    assert region.path.stat().st_size == 12
    assert region.path.stat().st_mode & 0o777 == 0o600
    region.forget_file()
    assert not region.path.exists()
    region.free[0].write([np.ones((2, 2, 3), np.uint8)])
    assert bytes(region.memory) == b"\1" * 12


def test_memory_that_cannot_be_had_is_refused_and_leaves_no_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shared_memory, "_FOLDER", tmp_path)
    with pytest.raises(ConfigurationError, match="triton_shared_memory"):
        Region(blocks=1, block_bytes=1 << 60)
    assert list(tmp_path.iterdir()) == []


async def test_a_block_is_free_when_its_call_has_ended_whoever_waited() -> None:
    region = Region(blocks=1, block_bytes=12)
    region.forget_file()
    for outcome in ("answer", "error", "waiter gone"):
        block = region.free.popleft()
        call: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        waiter = asyncio.ensure_future(asyncio.shield(block.hold(call)))
        if outcome == "waiter gone":
            waiter.cancel()
            await asyncio.wait([waiter])
        assert not region.free, "Triton may still read it"
        if outcome == "answer":
            call.set_result(1)
        else:
            call.set_exception(OSError("down"))
        await asyncio.wait([waiter])
        await asyncio.sleep(0)
        assert list(region.free) == [block]
        if not waiter.cancelled():
            waiter.exception()
