"""The house: few rooms, each with a sentence that says what it is for, and files that are read in one sitting.

Which room may know which is import-linter's business: `make check`.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

import pytest

PACKAGE: Final = Path(__file__).parents[1] / "service" / "topfive"
ROOMS: Final = sorted(file.parent for file in PACKAGE.rglob("__init__.py"))
MOST_ROOMS: Final = 23
MOST_LINES: Final = 300
FLAT_LISTS: Final = {"config/settings.py"}
"""Files that are longer, for they are one list from top to bottom, in which a reader looks something up."""


def test_there_are_few_rooms_and_every_folder_of_code_is_one() -> None:
    assert len(ROOMS) <= MOST_ROOMS
    assert {file.parent for file in PACKAGE.rglob("*.py")} == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_a_room_says_in_a_sentence_what_it_is_for(room: Path) -> None:
    said = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8")))
    assert said is not None
    assert len(said.splitlines()) == 1
    assert said.endswith(".")


def test_a_file_is_read_in_one_sitting() -> None:
    files = {path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
    assert {name for name, text in files.items() if len(text.splitlines()) > MOST_LINES} == FLAT_LISTS


def test_every_test_of_a_module_is_in_the_room_of_its_module() -> None:
    """So that finding a test is finding its room; tests of several modules have names of their own."""
    tests = Path(__file__).parent
    modules = {path.relative_to(PACKAGE).with_suffix("") for path in PACKAGE.rglob("*.py")}
    by_name = {module.name: {each.parent for each in modules if each.name == module.name} for module in modules}
    rooms = {room.relative_to(PACKAGE) for room in ROOMS}
    astray = [
        path.relative_to(tests).as_posix()
        for path in tests.rglob("test_*.py")
        if (folder := path.relative_to(tests).parent) in rooms
        and (homes := by_name.get(path.stem.removeprefix("test_")))
        and folder not in homes
    ]
    assert astray == []
