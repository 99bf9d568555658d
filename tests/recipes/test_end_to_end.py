"""A recipe ends in models that topfive serves, and in a table that `topfive evaluate` filled."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import pytest
import typer
from typer.testing import CliRunner

from recipes.__main__ import RECIPES, main
from tests.pipeline.conftest import needs_export, warm_servers

needs_export()

import torch  # noqa: E402  # these are imported once it is known that torch is there

from recipes.kit.rows import store  # noqa: E402
from tests.recipes.example_rows import BEGAN, HALF  # noqa: E402
from topfive_pipeline.judging import judge  # noqa: E402
from topfive_pipeline.judging.footprint import footprint_of  # noqa: E402

pytestmark = pytest.mark.untraced

ROOT: Final = Path(__file__).parents[2]
NAMES: Final = ["fold_norms", "fold_folded"]
"""What is served of it where it is quick."""


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Servers that start as forks, and one load of each model instead of three: half of the time, the same code."""
    monkeypatch.setattr(judge, "footprint_of", partial(footprint_of, loads=1))
    threads = torch.get_num_threads()
    with warm_servers():
        yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("cheap")
def test_fold_is_served_and_stands_in_the_table(tmp_path: Path) -> None:
    """One that trains, exports, imports and evaluates, as all do; and its answers stay, which the table shows."""
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(main)
    flags = ["--quick", "--data", "digits", "--cores", "1", "--no-log", "--out", str(tmp_path)]
    ended = CliRunner().invoke(app, ["fold", *flags], catch_exceptions=False)
    assert ended.exit_code == 0, ended.output
    for name in NAMES:
        parts = {path.name for path in (tmp_path / "models").iterdir() if path.name.startswith(name)}
        assert parts == {name, f"{name}_classify", f"{name}_resize"}
    rows = json.loads((tmp_path / "rows" / "fold.json").read_text(encoding="utf-8"))
    assert [(row["recipe"], row["model"], row["photos"]) for row in rows] == [("fold", name, 200) for name in NAMES]
    assert rows[0]["difference"] is None
    for row in rows[1:]:
        assert row["difference"][0] == 0
        assert row["agreement"] == 1
        assert row["change"] <= 1e-5
        assert row["batch_8"][0] > 0
        assert row["minutes"] > 0
    table = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert table in ended.stdout
    assert [line.split(" | ")[1] for line in table.splitlines()[2:]] == NAMES
    assert (tmp_path / "table.png").stat().st_size > 0


def test_the_command_is_a_module_that_lists_the_recipes(tmp_path: Path) -> None:
    """Without PyTorch, and so at once."""
    paths = os.pathsep.join(str(ROOT / folder) for folder in ("service", "pipeline", "."))
    with (tmp_path / "said").open("w", encoding="utf-8") as said:
        command = [sys.executable, "-m", "recipes"]
        subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": paths}, stdout=said, check=True)
    lines = (tmp_path / "said").read_text(encoding="utf-8").splitlines()
    assert [line.split()[0] for line in lines] == list(RECIPES)


def test_the_table_of_what_was_run_is_shown_again(tmp_path: Path) -> None:
    store([BEGAN, HALF], tmp_path / "rows", "prune")
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(main)
    ended = CliRunner().invoke(app, ["table", "--out", str(tmp_path)], catch_exceptions=False)
    assert (tmp_path / "table.md").read_text(encoding="utf-8") in ended.stdout
    assert HALF.model in ended.stdout


def test_the_recipe_of_the_page_is_one() -> None:
    """All that it imports is there, and it is as short as the page says others should be."""
    page = (ROOT / "docs" / "recipes" / "index.md").read_text(encoding="utf-8")
    source = page.partition("```python\n")[2].partition("```")[0]
    namespace: dict[str, object] = {}
    exec(compile(source, "narrow.py", "exec", dont_inherit=True), namespace)
    assert callable(namespace["run"])
    assert 20 < len(source.splitlines()) <= 30
