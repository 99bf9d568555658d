"""Each recipe is one short file that is listed, says what it does, and has its page; PyTorch is imported nowhere else.

None of this needs PyTorch, and neither do the list of recipes and what is refused before they start.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import typer
from typer.testing import CliRunner, Result

from recipes import __main__ as command
from recipes.__main__ import RECIPES, first_line

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "recipes"
PAGES: Final = ROOT / "docs" / "recipes"
FILES: Final = sorted(FOLDER.rglob("*.py"))
MOST_LINES: Final = 150
TORCH: Final = frozenset({"onnxscript", "timm", "torch", "torchvision"})
MAY_HAVE_TORCH: Final = ("pipeline/topfive_pipeline/reference_model/networks.py", "benchmarks/zoo_models/")
"""Beside `recipes/`: what exports the networks that come along and those that are compared with them."""


def run(*arguments: str) -> Result:
    """`python -m recipes` with these arguments, in this process."""
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(command.main)
    return CliRunner().invoke(app, arguments)


def imported(file: Path) -> Iterator[str]:
    """The packages that `file` imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(FOLDER)))
def test_no_file_is_long(file: Path) -> None:
    lines = len(file.read_text(encoding="utf-8").splitlines())
    assert lines <= MOST_LINES, f"{file.name} has {lines} lines: leave something out, or move what others share to kit"


def test_every_file_beside_the_kit_is_a_listed_recipe() -> None:
    assert {file.stem for file in FOLDER.glob("*.py") if not file.stem.startswith("__")} == set(RECIPES)
    assert len(set(RECIPES)) == len(RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_says_what_it_does_and_has_a_run(name: str) -> None:
    """Its first line is a sentence: it stands in the list."""
    assert first_line(name).endswith(".")
    parsed = ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))
    runs = [node for node in parsed.body if isinstance(node, ast.FunctionDef) and node.name == "run"]
    assert [[each.arg for each in node.args.args] for node in runs] == [["setting"]]


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_has_its_page(name: str) -> None:
    """It says how the recipe is run, and the first page of the recipes leads to it."""
    pages = {page.name: page.read_text(encoding="utf-8") for page in PAGES.glob("*.md")}
    index = pages.pop("index.md")
    about = [page for page, text in pages.items() if re.search(rf"RECIPES='?{name}\b", text)]
    assert about, f"no page in docs/recipes says how {name} is run"
    assert any(f"({page})" in index for page in about), f"docs/recipes/index.md does not lead to {' or '.join(about)}"


def test_pytorch_is_imported_by_recipes_and_exporters_only() -> None:
    folders = ("service", "pipeline", "benchmarks", "loadtests", "deploy", ".ci")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*.py")]
    assert len(files) > 100
    found = {str(file.relative_to(ROOT)) for file in files if TORCH & set(imported(file))}
    assert "pipeline/topfive_pipeline/reference_model/networks.py" in found, "the reading of imports finds nothing"
    assert {file for file in found if not file.startswith(MAY_HAVE_TORCH)} == set()


def test_without_a_name_the_recipes_are_listed() -> None:
    listed = run()
    assert listed.exit_code == 0
    assert [tuple(line.split(maxsplit=1)) for line in listed.stdout.splitlines()] == [
        (name, first_line(name)) for name in RECIPES
    ]


def test_an_unknown_recipe_is_refused_by_name() -> None:
    refused = run("fold", "bold")
    assert refused.exit_code == 2
    assert "there is no recipe bold; there are hygiene, fold, " in refused.stderr


def test_a_folder_of_photos_that_is_not_there_is_refused(tmp_path: Path) -> None:
    refused = run("distil_photos", "--photos", str(tmp_path / "gone"))
    assert refused.exit_code == 2
    assert f"--photos {tmp_path / 'gone'}: there is no such folder" in refused.stderr


def test_a_package_that_is_missing_is_said_with_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == "torch" else sys)
    refused = run("fold")
    assert refused.exit_code == 2
    assert refused.stderr == "recipes: torch is not installed: make setup-train\n"
