"""A repository in a store becomes a folder of the service's own, which one process keeps up to date."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.testkit.stores import URL, FakeStore, files_in
from topfive.config.settings import Settings
from topfive.ground.errors import ConfigurationError
from topfive.process.mirroring import keep_mirrored, with_mirror
from topfive.repository.mirror import Mirror


def settings(cache: Path | None = None) -> Settings:
    return Settings(model_repository="s3://bucket/models", model_cache_dir=cache)  # type: ignore[arg-type]  # as given


def test_a_folder_needs_no_mirror(tmp_path: Path) -> None:
    given = Settings(model_repository=tmp_path)
    assert with_mirror(given) == (given, None)


def test_all_that_follows_sees_a_folder(tmp_path: Path) -> None:
    changed, mirror = with_mirror(settings(tmp_path))
    assert mirror is not None
    assert mirror.url == URL
    assert changed.served_repository == mirror.folder
    assert mirror.folder.parent == tmp_path


def test_by_default_it_is_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    changed, _ = with_mirror(settings())
    assert changed.served_repository.parent == tmp_path / "topfive"
    assert (tmp_path / "topfive").stat().st_mode & 0o777 == 0o700
    (tmp_path / "topfive").chmod(0o777)
    with pytest.raises(ConfigurationError, match="can be written by others; name a folder of the service's own"):
        with_mirror(settings())


def test_a_default_that_cannot_be_made_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ConfigurationError, match="--model-cache-dir"):
        with_mirror(settings())


def test_the_mirror_follows_on_a_thread_whatever_fails(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = FakeStore({"a": b"one"})
    mirror = Mirror(URL, tmp_path / "mirror", max_bytes=9, opened=lambda _: store)
    keep_mirrored(mirror, 0.001)
    assert files_in(mirror.folder) == {"a": b"one"}
    failed, looked = threading.Event(), threading.Event()

    def defect() -> None:
        if not failed.is_set():
            failed.set()
            raise RuntimeError("a defect")
        looked.set()

    store.on_read = defect
    store.contents = {"a": b"two"}
    assert looked.wait(60)
    mirror.stop()
    for thread in threading.enumerate():
        if thread.name == "store":
            thread.join(60)
    assert "a defect" in caplog.text


def test_a_repository_that_does_not_change_has_no_thread(tmp_path: Path) -> None:
    mirror = Mirror(URL, tmp_path / "mirror", max_bytes=9, opened=lambda _: FakeStore({"a": b"one"}))
    keep_mirrored(mirror, None)
    assert files_in(mirror.folder) == {"a": b"one"}
    assert "store" not in {thread.name for thread in threading.enumerate()}
