"""A file that says what must hold cannot lose a line of it: what is not understood, or said twice, is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.gating.strict_yaml import Strict, read_yaml


class Part(Strict):
    number: int


class Whole(Strict):
    name: str
    parts: list[Part] = Field(default_factory=list)


def read(text: str, folder: Path) -> Whole:
    (folder / "file.yaml").write_text(text, encoding="utf-8")
    return read_yaml(folder / "file.yaml", Whole, advice="See the manual")


def test_a_file_is_read(tmp_path: Path) -> None:
    assert read("name: a\nparts:\n  - number: 1\n", tmp_path) == Whole(name="a", parts=[Part(number=1)])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", r"file\.yaml: name: it is missing; add it\. See the manual"),
        ("name: a\ncolour: red\n", "colour: there is no such field; correct its name or take it out"),
        ("name: a\nname: b\n", "'name' is given twice"),
        ("name: a\nparts:\n  - number: '1'\n", r"parts\[0\]\.number: Input should be a valid integer"),
        ("name: [", "cannot be read as YAML"),
        ("- a\n", "it must have fields, as NAME: VALUE"),
        ("name: !!python/name:os.system a\n", "cannot be read as YAML"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=words):
        read(text, tmp_path)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.yaml: it cannot be read \(No such file"):
        read_yaml(tmp_path / "none.yaml", Whole, advice="")
