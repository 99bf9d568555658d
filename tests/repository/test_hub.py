"""Repositories of Hugging Face are read at one commit.

Nothing real speaks its API here: `tests/testkit/stores.py` answers as its documentation says.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.testkit.stores import SECRET, HuggingFace, files_in, hugging_face
from topfive.ground.errors import ConfigurationError, StoreUnreachable
from topfive.ground.store_urls import read_store_url
from topfive.repository.hub import Hub
from topfive.repository.mirror import Mirror

ONE: Final = {"models/cat/config.pbtxt": b"config", "models/cat/1/model.onnx": b"graph", "README.md": b"a card"}
TWO: Final = ONE | {"models/cat/2/model.onnx": b"graph 2"}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HuggingFace]:
    with hugging_face({"1" * 40: ONE, "2" * 40: TWO}, {"main": "1" * 40, "next": "2" * 40}) as hub:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
        template = f"{hub.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.setenv("HF_TOKEN", SECRET)
        yield hub
    from huggingface_hub.utils import close_session  # the library's connections outlive a call

    close_session()


def below(folder: str, files: dict[str, bytes]) -> dict[str, bytes]:
    return {path.removeprefix(folder): data for path, data in files.items() if path.startswith(folder)}


def test_a_folder_is_mirrored_and_its_branch_followed(
    hub: HuggingFace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    mirror = Mirror(read_store_url("hf://org/repo/models"), tmp_path / "mirror", max_bytes=1 << 20)
    mirror.refresh()
    assert files_in(mirror.folder) == below("models/", ONE)
    assert {token for path, token in hub.asked if "org/repo" in path} == {f"Bearer {SECRET}"}
    hub.asked.clear()
    mirror.refresh()
    assert [path for path, _ in hub.asked] == ["/api/models/org/repo"]  # a look costs one question
    hub.branches["main"] = "2" * 40
    mirror.refresh()
    assert files_in(mirror.folder) == below("models/", TWO)
    # The library would log the address of each request, which may be signed.
    assert {record.name for record in caplog.records} <= {"topfive", "asyncio"}


def test_a_whole_repository_at_a_revision(hub: HuggingFace) -> None:
    found = Hub(read_store_url("hf://org/repo@next")).files()
    assert {file.path: file.kind for file in found} == {
        path: "sha256" if path.endswith(".onnx") else "git" for path in TWO
    }
    assert hub.asked


def test_a_file_that_is_not_what_its_digest_says_is_refused(hub: HuggingFace, tmp_path: Path) -> None:
    hub.commits["1" * 40] = ONE | {"models/cat/1/model.onnx": b"graph"}
    mirror = Mirror(read_store_url("hf://org/repo/models"), tmp_path / "mirror", max_bytes=1 << 20)
    listed = Hub(read_store_url("hf://org/repo/models")).files()
    assert listed
    mirror._store()[0].files()
    hub.commits["1" * 40] = ONE | {"models/cat/1/model.onnx": b"grape"}
    with pytest.raises(ConfigurationError, match=r"cat/1/model\.onnx has not the digest"):
        mirror.refresh()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("hf://org/repo@missing", "it has no such branch, tag or commit"),
        ("hf://org/re--po", "cannot be read: "),
        ("hf://org/missing", "is not there, or may not be read; is it the right name"),
    ],
)
def test_what_is_not_there_is_no_outage(url: str, says: str, hub: HuggingFace) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Hub(read_store_url(url)).files()
    assert hub.url
    assert says in str(refused.value)
    assert SECRET not in str(refused.value)


def test_a_hub_that_is_not_there_may_come(hub: HuggingFace, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hub.url
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(StoreUnreachable, match="cannot be reached"):
        Hub(read_store_url("hf://org/repo")).files()
