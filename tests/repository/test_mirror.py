"""A mirror shows a whole repository as it is in the store, or the one before."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.testkit.stores import URL, FakeStore, files_in, sums_of
from topfive.ground.errors import ConfigurationError, NotReady, StoreUnreachable
from topfive.ground.store_urls import read_store_url
from topfive.repository.mirror import Mirror, mirror_folder
from topfive.repository.mirror_notes import read_index, read_looks

ONE: Final = {"cat/config.pbtxt": b"one", "cat/1/model.onnx": b"graph 1", "README.md": b"read me"}
TWO: Final = ONE | {"cat/2/model.onnx": b"graph 2", "cat/config.pbtxt": b"two", "dog/config.pbtxt": b"dog"}

Make = Callable[..., Mirror]


@pytest.fixture
def store() -> FakeStore:
    return FakeStore(dict(ONE))


@pytest.fixture
def make(store: FakeStore, tmp_path: Path) -> Make:
    """Makes the mirror as each start of a service does: nothing is left but what is on the disk."""
    return lambda: Mirror(URL, tmp_path / "mirror", max_bytes=1000, opened=lambda _: store)


def test_the_folder_becomes_what_the_store_holds_and_follows_it(make: Make, store: FakeStore) -> None:
    mirror = make()
    mirror.refresh()
    assert files_in(mirror.folder) == ONE
    store.contents = dict(TWO)
    mirror.refresh()
    assert files_in(mirror.folder) == TWO
    store.contents = {"dog/config.pbtxt": b"dog"}
    mirror.refresh()
    assert files_in(mirror.folder) == store.contents
    assert sorted(path.name for path in mirror.folder.iterdir()) == [".topfive", "dog"]


def test_nothing_is_fetched_again_that_is_here(make: Make, store: FakeStore) -> None:
    """Not by the next refresh, not after a restart, not because a file was deleted here, not under another name."""
    make().refresh()
    store.reads.clear()
    make().refresh()
    (make().folder / "cat" / "1" / "model.onnx").unlink()
    mirror = make()
    mirror.refresh()
    assert (store.reads, files_in(mirror.folder)) == ([], ONE)
    store.contents = dict(TWO)
    mirror.refresh()
    assert sorted(store.reads) == ["cat/2/model.onnx", "cat/config.pbtxt", "dog/config.pbtxt"]


def test_what_has_a_sha256_is_fetched_once_whatever_it_is_called(make: Make, store: FakeStore) -> None:
    store.kind = "sha256"
    make().refresh()
    store.reads.clear()
    store.contents = {f"copy/{path}": data for path, data in ONE.items()}
    mirror = make()
    mirror.refresh()
    assert (store.reads, files_in(mirror.folder)) == ([], store.contents)


def test_what_a_start_fetched_is_known_to_the_next_though_it_failed(make: Make, store: FakeStore) -> None:
    large = b"x" * (1 << 20)
    store.contents = {"a": large, "b": b"b", "c": b"c"}
    store.spoiled = {"c": [b"!", b"?"]}
    mirror = Mirror(URL, make().folder, max_bytes=1 << 30, opened=lambda _: store)
    known: list[list[str]] = []
    store.on_read = lambda: known.append(list(read_index(mirror.folder).known))
    with pytest.raises(ConfigurationError):
        mirror.refresh()
    assert known == [[], ["a"], ["a"], ["a"]]  # a large file at once, for a kill would run no further line
    store.reads.clear()
    Mirror(URL, mirror.folder, max_bytes=1 << 30, opened=lambda _: store).refresh()
    assert store.reads == ["c"]


@pytest.mark.parametrize("kind", ["sha256", "git", "etag"])
def test_a_damaged_file_is_refused_by_name_and_the_old_ones_stay(kind: str, make: Make, store: FakeStore) -> None:
    store.kind = kind  # type: ignore[assignment]  # one of them
    mirror = make()
    mirror.refresh()
    store.contents = dict(TWO)
    store.spoiled = {"cat/2/model.onnx": [b"graph !", b"graph ?"][: 2 if kind == "etag" else 1]}
    with pytest.raises(ConfigurationError, match=r"what came as cat/2/model\.onnx has not the digest"):
        mirror.refresh()
    assert files_in(mirror.folder) == ONE
    mirror.refresh()
    assert files_in(mirror.folder) == TWO


def test_an_etag_that_is_no_md5_is_believed_once_the_file_came_twice_alike(make: Make, store: FakeStore) -> None:
    """As of objects that the store encrypts with a key of its own; of one store it is asked once."""
    store.digests = dict.fromkeys(ONE, f'"{"0" * 32}"')
    mirror = make()
    mirror.refresh()
    assert files_in(mirror.folder) == ONE
    assert len(store.reads) == len(ONE) + 1


def test_a_set_of_files_that_its_sums_do_not_confirm_is_not_shown(make: Make, store: FakeStore) -> None:
    """So the sums, uploaded last, say when a change is whole."""
    mirror = make()
    mirror.refresh()
    store.contents = TWO | {"SHA256SUMS": sums_of(ONE)}
    with pytest.raises(ConfigurationError, match=r"cat/config\.pbtxt is not the file that SHA256SUMS names"):
        mirror.refresh()
    assert files_in(mirror.folder) == ONE
    store.contents["SHA256SUMS"] = sums_of(TWO)
    mirror.refresh()
    assert files_in(mirror.folder) == store.contents


def test_a_store_that_is_written_to_is_left_to_the_next_look(make: Make, store: FakeStore) -> None:
    mirror = make()
    mirror.look()
    store.contents["cat/2/weights"] = b"weights"
    mirror.look()
    store.contents["cat/2/model.onnx"] = b"graph 2"
    mirror.look()
    assert files_in(mirror.folder) == ONE
    mirror.look()
    assert files_in(mirror.folder) == store.contents


def test_an_empty_store_changes_nothing(make: Make, store: FakeStore) -> None:
    mirror = make()
    mirror.refresh()
    store.contents.clear()
    with pytest.raises(ConfigurationError, match="holds no files, so nothing is changed"):
        mirror.refresh()
    assert files_in(mirror.folder) == ONE


def test_a_store_that_is_too_large_is_refused_before_it_is_fetched(make: Make, store: FakeStore) -> None:
    store.contents["cat/1/weights"] = b"x" * 1000
    with pytest.raises(ConfigurationError, match="raise model_cache_bytes"):
        make().refresh()
    assert store.reads == []


def test_refused_changes_do_not_fill_the_disk(make: Make, store: FakeStore) -> None:
    mirror = make()
    for number in range(9):
        store.contents = ONE | {"cat/2/model.onnx": b"%d" % number, "SHA256SUMS": sums_of({"cat/3/model.onnx": b""})}
        with pytest.raises(ConfigurationError):
            mirror.refresh()
    assert len(list((mirror.folder / ".topfive" / "contents").iterdir())) == len(store.contents)


def test_a_folder_of_somebody_else_is_not_replaced(make: Make, store: FakeStore) -> None:
    mirror = make()
    theirs = mirror.folder / "cat" / "theirs"
    theirs.parent.mkdir(parents=True)
    theirs.touch()
    with pytest.raises(ConfigurationError, match="is there already, and was not fetched"):
        mirror.refresh()
    assert theirs.exists()


def test_a_start_without_the_store_serves_what_is_whole(
    make: Make, store: FakeStore, caplog: pytest.LogCaptureFixture
) -> None:
    make().refresh()
    store.away = True
    mirror = make()
    mirror.first()
    assert "served from the mirror" in caplog.text
    assert files_in(mirror.folder) == ONE
    (mirror.folder / "cat" / "config.pbtxt").unlink()  # not whole any more
    waits = threading.Thread(target=mirror.first, kwargs={"retry_seconds": 0.0})
    waits.start()
    store.away = False
    waits.join(60)
    assert files_in(mirror.folder) == ONE


def test_a_start_whose_url_is_wrong_ends(make: Make, store: FakeStore) -> None:
    store.contents.clear()
    with pytest.raises(ConfigurationError, match="holds no files"):
        make().first()


def test_looks_go_on_while_the_store_is_away_and_say_so_once(
    make: Make, store: FakeStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    mirror = make()
    mirror.first()
    store.away = True
    for _ in range(3):
        mirror.look()
    assert caplog.text.count("the models stay as they were: the store is away") == 1
    looked, failures = read_looks(mirror.folder)
    assert (looked > 0, failures) == (True, 3)
    store.away = False
    mirror.look()
    assert "is mirrored again" in caplog.text
    assert read_looks(mirror.folder)[1] == 0


def test_a_file_that_is_replaced_while_it_comes_is_left_to_the_next_refresh(make: Make, store: FakeStore) -> None:
    store.spoiled = {"cat/1/model.onnx": [b"longer than it was listed"], "README.md": [b"short"]}
    for _ in range(2):
        with pytest.raises(StoreUnreachable, match="was it replaced meanwhile"):
            make().refresh()
    make().refresh()


def test_a_stop_ends_a_fetch_and_all_that_would_follow(make: Make, store: FakeStore) -> None:
    mirror = make()
    store.on_read = mirror.stop
    for call in (mirror.refresh, mirror.first, mirror.look):
        with pytest.raises(NotReady, match="about to end"):
            call()
    assert len(store.reads) == 1
    assert mirror.wait(60)


def test_two_services_do_not_write_at_once(make: Make) -> None:
    mirror = make()
    mirror.refresh()
    with (mirror.folder / ".topfive" / "lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)  # the least that holds off a writer
        waits = threading.Thread(target=mirror.refresh)
        waits.start()
        waits.join(0.05)
        assert waits.is_alive()
    waits.join(60)
    assert not waits.is_alive()


def test_what_a_kill_leaves_is_taken_over(make: Make, store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between any two renames, the next start shows the whole all the same, also if that has changed."""
    make().refresh()
    killed = 0
    for calls in range(1, 12):
        store.contents = ONE | {f"new{calls}/config.pbtxt": b"new", "cat/config.pbtxt": b"%d" % calls}
        with monkeypatch.context() as patched:
            left = [calls]

            def dying(path: Path, target: Path, left: list[int] = left) -> None:
                left[0] -= 1
                if not left[0]:
                    raise KeyboardInterrupt
                os.replace(path, target)  # noqa: PTH105  # `Path.replace` is this one

            patched.setattr(Path, "rename", dying)
            patched.setattr(Path, "replace", dying)
            try:
                make().refresh()
            except KeyboardInterrupt:
                killed += 1
        store.contents[f"new{calls}/config.pbtxt"] = b"other"
        mirror = make()
        mirror.refresh()
        assert files_in(mirror.folder) == store.contents
    assert killed > 7


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, store: FakeStore) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="name a folder of the service's own as model_cache_dir"):
        Mirror(URL, tmp_path / "file" / "mirror", max_bytes=9, opened=lambda _: store).refresh()


def test_each_url_has_a_folder_of_its_own() -> None:
    urls = [read_store_url(text) for text in ("s3://bucket/a/b", "s3://bucket/a-b", "gs://bucket/a/b")]
    folders = {mirror_folder(Path("/cache"), url) for url in urls}
    assert len(folders) == 3
    assert {folder.parent for folder in folders} == {Path("/cache")}
