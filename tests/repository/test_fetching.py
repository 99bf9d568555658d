"""What is not here yet is fetched, if there is room for it, and the log says how far that is."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.testkit.fakes import FakeClock
from tests.testkit.stores import URL, FakeStore
from topfive.ground.errors import ConfigurationError
from topfive.repository.fetching import Fetching
from topfive.repository.published import Published
from topfive.repository.stores import StoreFile


def test_a_long_fetch_says_how_far_it_is_every_few_seconds(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = FakeClock()
    store = FakeStore(dict.fromkeys("abcdef", b"x" * 400000), on_read=lambda: clock.advance(2.0))
    published = Published(tmp_path)
    published.begin()
    fetched: list[StoreFile] = []
    fetching = Fetching(URL, store, published, stopped=threading.Event(), now=clock.now)
    fetching.fetch(store.files(), lambda file, _: fetched.append(file))
    assert [record.message for record in caplog.records] == [
        f"fetching 2.4 MB from {URL}",
        f"fetched 0.8 MB of 2.4 MB from {URL}",
        f"fetched 2.0 MB of 2.4 MB from {URL}",
    ]
    assert fetched == store.files()


def test_what_the_disk_has_no_room_for_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=70_000_000))
    store = FakeStore({"a": b"x" * 4_000_000})
    fetching = Fetching(URL, store, Published(tmp_path), stopped=threading.Event(), now=FakeClock().now)
    with pytest.raises(ConfigurationError, match=r"needs 4\.0 MB more in .*, where 70\.0 MB are free"):
        fetching.fetch(store.files(), lambda *_: None)
    assert store.reads == []
