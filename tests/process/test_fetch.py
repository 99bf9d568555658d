"""`topfive fetch` copies a repository once, or says why not."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from tests.testkit.stores import FakeStore, files_in
from topfive.ground.errors import ConfigurationError
from topfive.process.fetch import main
from topfive.repository.mirror import Mirror

FILES = {"cat/config.pbtxt": b"config", "cat/1/model.onnx": b"graph"}


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> FakeStore:
    store = FakeStore(dict(FILES))
    monkeypatch.setattr("topfive.process.fetch.Mirror", partial(Mirror, opened=lambda _: store))
    monkeypatch.setattr("topfive.process.fetch.configure_logging", lambda *_, **__: None)  # pytest has its own
    return store


def test_a_folder_holds_what_the_store_holds_and_another_url_replaces_it(store: FakeStore, tmp_path: Path) -> None:
    assert main(["s3://bucket/models", str(tmp_path)]) == 0
    assert files_in(tmp_path) == FILES
    store.contents = {"dog/config.pbtxt": b"dog"}
    assert main(["gs://bucket/models", str(tmp_path)]) == 0
    assert files_in(tmp_path) == store.contents


def test_a_store_that_is_away_is_a_failure(
    store: FakeStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store.away = True
    assert main(["s3://bucket/models", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "topfive fetch: the store is away\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["s3://key:secret@bucket"], "in the environment"), (["s3://bucket", "--max-bytes=9"], "9 bytes")],
)
def test_what_cannot_be_taken_is_refused(arguments: list[str], says: str, store: FakeStore, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=says):
        main([*arguments, str(tmp_path)])
    assert store.reads == []
    assert not files_in(tmp_path)
