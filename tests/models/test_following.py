"""Models that come from a store are served as they are there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.testkit.model_bench import ModelBench
from tests.testkit.stores import URL, FakeStore, files_in
from tests.testkit.tiny_models import commented, crop_graph, write_tiny_repository
from topfive.ground.errors import NotReady, StoreUnreachable
from topfive.models.control import Mode
from topfive.models.following import Following
from topfive.repository.mirror import Mirror
from topfive.repository.reading import Repository


class Followed:
    """A store with the tiny ensemble, its mirror, and the models that are served from that."""

    def __init__(self, folder: Path) -> None:
        self.source = write_tiny_repository(folder / "source")
        self.store = FakeStore(files_in(self.source))
        self.mirror = Mirror(URL, folder / "mirror", max_bytes=1 << 20, opened=lambda _: self.store)
        self.following = Following(self.mirror, Repository(self.mirror.folder).read)
        self.bench: ModelBench

    async def start(self, mode: Mode) -> ModelBench:
        assert set(await self.following.first()) == {"classify", "crop", "tiny"}
        self.bench = await ModelBench(self.mirror.folder, mode, following=self.following).start()
        return self.bench


@pytest.fixture
async def followed(tmp_path: Path) -> AsyncIterator[Followed]:
    followed = Followed(tmp_path)
    yield followed
    await followed.bench.close()
    followed.following.stop()
    assert followed.following.close(timeout_seconds=30)


def bring(store: FakeStore, version: int) -> None:
    """Upload a new version of the classifier."""
    store.contents[f"classify/{version}/model.onnx"] = commented(store.contents["classify/1/model.onnx"])


async def test_a_load_takes_what_is_in_the_store_now(followed: Followed) -> None:
    bench = await followed.start("explicit")
    bring(followed.store, 2)
    await bench.control.load("classify")
    assert ("2", "READY") in bench.index("classify")
    followed.store.away = True
    with pytest.raises(StoreUnreachable):
        await bench.control.load("classify")
    assert ("2", "READY") in bench.index("classify")


async def test_a_poll_takes_in_the_store_and_goes_on_without_it(
    followed: Followed, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    bench = await followed.start("poll")
    bring(followed.store, 2)
    assert await bench.control.look()
    assert bench.index("classify") == [("1", "READY")]  # it may still be written to
    assert await bench.control.look()
    assert ("2", "READY") in bench.index("classify")
    assert ".topfive" not in caplog.text  # what is ours is not an oddity of the repository
    followed.store.away = True
    assert await bench.control.look()
    (followed.mirror.folder / "crop" / "1" / "model.onnx").unlink()
    followed.store.away = False
    assert await bench.control.look()
    assert (followed.mirror.folder / "crop" / "1" / "model.onnx").read_bytes() == crop_graph()


async def test_after_a_stop_nothing_is_fetched(followed: Followed) -> None:
    bench = await followed.start("poll")
    followed.following.stop()
    assert not await bench.control.look()  # that was the last


async def test_the_event_loop_goes_on_while_models_are_fetched(tmp_path: Path) -> None:
    followed = Followed(tmp_path)
    first = asyncio.ensure_future(followed.following.first())
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hold() -> None:  # on the thread that fetches: the loop must run for this to return
        asyncio.run_coroutine_threadsafe(stopped.wait(), loop).result(60)

    followed.store.on_read = hold
    await asyncio.sleep(0)
    followed.following.stop()
    stopped.set()
    with pytest.raises(NotReady):
        await first
    assert followed.following.close(timeout_seconds=30)
