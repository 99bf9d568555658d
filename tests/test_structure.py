"""The house: few rooms, each with a sentence that says what it is for, and files that are read in one sitting.

Of both packages: the service's, and that of the offline commands beside it. Which room may know which is
import-linter's business: `make check`.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
MOST_LINES: Final = 300


@dataclass(frozen=True)
class House:
    """A package: its folder, that of its tests, how many rooms it may have at most, and which files may be longer."""

    package: Path
    tests: Path
    most_rooms: int
    flat_lists: frozenset[str] = field(default_factory=frozenset)
    """Files that are longer, for they are one list from top to bottom, in which a reader looks something up."""

    @property
    def rooms(self) -> list[Path]:
        return sorted(file.parent for file in self.package.rglob("__init__.py"))


SERVICE: Final = House(
    ROOT / "service" / "topfive", ROOT / "tests", most_rooms=23, flat_lists=frozenset({"config/settings.py"})
)
PIPELINE: Final = House(ROOT / "pipeline" / "topfive_pipeline", ROOT / "tests" / "pipeline", most_rooms=15)
"""Fourteen and the house itself: tuning, planning, the gate, profiling and the experiments are jobs of their own."""
HOUSES: Final = (SERVICE, PIPELINE)
of_both = pytest.mark.parametrize("house", HOUSES, ids=lambda house: house.package.name)


@of_both
def test_there_are_few_rooms_and_every_folder_of_code_is_one(house: House) -> None:
    assert len(house.rooms) <= house.most_rooms
    assert {file.parent for file in house.package.rglob("*.py")} == set(house.rooms)


@pytest.mark.parametrize("room", [room for house in HOUSES for room in house.rooms], ids=lambda room: room.name)
def test_a_room_says_in_a_sentence_what_it_is_for(room: Path) -> None:
    said = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8")))
    assert said is not None
    assert len(said.splitlines()) == 1
    assert said.endswith(".")


@of_both
def test_a_file_is_read_in_one_sitting(house: House) -> None:
    files = {path.relative_to(house.package).as_posix(): path for path in house.package.rglob("*.py")}
    long = {name for name, path in files.items() if len(path.read_text(encoding="utf-8").splitlines()) > MOST_LINES}
    assert long == house.flat_lists


@of_both
def test_every_test_of_a_module_is_in_the_room_of_its_module(house: House) -> None:
    """So that finding a test is finding its room; tests of several modules have names of their own."""
    modules = {path.relative_to(house.package).with_suffix("") for path in house.package.rglob("*.py")}
    by_name = {module.name: {each.parent for each in modules if each.name == module.name} for module in modules}
    rooms = {room.relative_to(house.package) for room in house.rooms}
    astray = [
        path.relative_to(house.tests).as_posix()
        for path in house.tests.rglob("test_*.py")
        if (folder := path.relative_to(house.tests).parent) in rooms
        and (homes := by_name.get(path.stem.removeprefix("test_")))
        and folder not in homes
    ]
    assert astray == []
