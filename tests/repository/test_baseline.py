"""A baseline's file is read as it was written, or refused by what is wrong with it; no model is refused for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.testkit.baselines import BASE
from topfive.ground.drift import CONFIDENCE, FORMATS, LABELS, MEGAPIXELS
from topfive.ground.errors import ConfigurationError
from topfive.repository.baseline import BASELINE, read_baseline, text_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("model")


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / BASELINE
    path.write_text(text_of(BASE), encoding="utf-8")
    assert read_baseline(path) == BASE


WRONG: Final[dict[str, tuple[Callable[[Any], object], str]]] = {
    "a list": (lambda _: [], "no JSON object"),
    "another format": (lambda found: {**found, "format": 2}, "format is 2"),
    "no format": (lambda found: {"counts": found["counts"]}, "format is None"),
    "a member that means nothing": (lambda found: {**found, "shares": {}}, "'shares', which means nothing"),
    "no source": (lambda found: {name: found[name] for name in found if name != "source"}, "lack 'source'"),
    "a version that is a number": (lambda found: {**found, "version": 1}, "version is no text"),
    "counts that are no object": (lambda found: {**found, "counts": 3}, "counts are no object"),
    "a signal less": (lambda found: counts(found, FORMATS, None), "lack 'formats'"),
    "a signal that is no object": (lambda found: counts(found, FORMATS, [1]), "formats are no object"),
    "a bucket less": (lambda found: counts(found, CONFIDENCE, {"0.1": 3}), "lack '0.2'"),
    "a bucket more": (lambda found: bucket(found, MEGAPIXELS, "3", 1), "'3', which means nothing"),
    "a format that there is not": (lambda found: bucket(found, FORMATS, "svg", 1), "'svg', which means nothing"),
    "a fraction": (lambda found: bucket(found, FORMATS, "png", 0.5), "'png' is no number of images"),
    "less than none": (lambda found: bucket(found, FORMATS, "png", -1), "'png' is no number of images"),
    "true": (lambda found: bucket(found, FORMATS, "png", True), "'png' is no number of images"),
    "no image": (lambda found: counts(found, LABELS, {"cat": 0}), "labels are all 0"),
    "too many labels": (lambda found: counts(found, LABELS, {str(i): 1 for i in range(41)}), "41 labels, of at most"),
    "an empty label": (lambda found: bucket(found, LABELS, "", 1), "labels is empty"),
    "half a character": (lambda found: bucket(found, LABELS, "\ud800", 1), "no text in UTF-8"),
    "a long label": (lambda found: bucket(found, LABELS, "x" * 121, 1), "longer than 120"),
}


def counts(found: Any, signal: str, buckets: object) -> object:
    """What was found, with other counts of one signal, or with none."""
    changed = {**found["counts"], signal: buckets}
    return {**found, "counts": {name: value for name, value in changed.items() if value is not None}}


def bucket(found: Any, signal: str, name: str, count: object) -> object:
    return counts(found, signal, {**found["counts"][signal], name: count})


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_said_with_what_to_do(what: str, tmp_path: Path) -> None:
    change, said = WRONG[what]
    path = tmp_path / BASELINE
    path.write_text(json.dumps(change(json.loads(text_of(BASE)))), encoding="utf-8")
    with pytest.raises(ConfigurationError) as error:
        read_baseline(path)
    assert said in str(error.value)
    assert str(error.value).endswith("make it anew by `topfive baseline`, or remove it")


@settings(max_examples=30)
@given(st.binary(max_size=60) | st.dictionaries(st.text(), st.none() | st.integers()).map(json.dumps).map(str.encode))
def test_whatever_lies_there_is_refused_and_never_an_accident(folder: Path, data: bytes) -> None:
    (folder / BASELINE).write_bytes(data)
    with pytest.raises(ConfigurationError):
        read_baseline(folder / BASELINE)


def test_a_file_that_is_long_deep_or_absent_is_refused(tmp_path: Path) -> None:
    path = tmp_path / BASELINE
    for text, said in ((" " * 70_000, "more than 64 KiB"), ("[" * 60_000, "no JSON")):
        path.write_text(text)
        with pytest.raises(ConfigurationError, match=said):
            read_baseline(path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_baseline(tmp_path / "absent")
