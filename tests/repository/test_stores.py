"""What holds for all stores: which names they may hold, how many, and what is said where a library is missing."""

from __future__ import annotations

import sys
from typing import Final

import pytest

from tests.testkit.stores import URL
from topfive.ground.errors import ConfigurationError
from topfive.ground.store_urls import read_store_url
from topfive.repository.stores import StoreFile, checked, may_pass, open_store


def files(*paths: str, size: int = 1) -> list[StoreFile]:
    return [StoreFile(path, size, "etag", "1", path) for path in paths]


def test_files_come_sorted_and_without_those_nobody_looks_at() -> None:
    found = checked(URL, files("b", ".git/config", "a/1/.tmp", "a/1/model.onnx", "README.md"), max_bytes=9)
    assert [file.path for file in found] == ["README.md", "a/1/model.onnx", "b"]


@pytest.mark.parametrize(
    "path",
    [
        "../a",
        "a/../../b",
        "/etc/passwd",
        "a//b",
        "a/",
        "a\\b",
        "a/\x00",
        "a\nb",
        "a\u202eb",
        "x" * 256,
        "\udcff",
        "./a",
    ],
)
def test_a_name_that_could_lead_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(ConfigurationError, match="rename it there") as refused:
        checked(URL, files("fine", path), max_bytes=9)
    assert repr(path) in str(refused.value)


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (files("a", "a"), "'a' is there twice"),
        (files("a", "a/b"), "'a' is both a file and a folder"),
        (files("a", size=10), "more than 9 bytes"),
        (files(*map(str, range(10_001)), size=0), "more than 10000 files"),
    ],
)
def test_what_cannot_lie_in_a_folder_of_the_size_is_refused(found: list[StoreFile], says: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        checked(URL, found, max_bytes=9)
    assert says in str(refused.value)


MODULES: Final = {
    "s3://bucket": ("obstore", "bucket"),
    "hf://org/repo": ("huggingface_hub", "hub"),
    "oci://localhost/a": ("oras.container", "registry"),
}


@pytest.mark.parametrize("url", MODULES)
def test_a_library_that_is_missing_is_named_with_its_extra(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    library, module = MODULES[url]
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, f"topfive.repository.{module}", raising=False)
    with pytest.raises(ConfigurationError) as refused:
        open_store(read_store_url(url))
    assert "pip install 'topfive[stores]'" in str(refused.value)
    assert library in str(refused.value)


@pytest.mark.parametrize(("status", "passes"), [(404, False), (403, False), (429, True), (500, True), (503, True)])
def test_only_a_busy_or_failed_store_is_asked_again(status: int, passes: bool) -> None:
    assert may_pass(status) is passes
