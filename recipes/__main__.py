"""`python -m recipes NAME...`: run recipes end to end, and show the table of all that were run."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from topfive.ground.errors import ConfigurationError

RECIPES: Final = (
    "hygiene",
    "fold",
    "repvgg",
    "freeze",
    "distil",
    "distil_photos",
    "qat",
    "qat_photos",
    "prune",
    "mixed",
    "transformers",
)
"""In the order in which they are best read."""
BUILT: Final = Path("build") / "recipes"
_ALL, _TABLE = "all", "table"


def main(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help=f"{', '.join(RECIPES)}; all; or table, of what was run. Nothing: list them.", metavar="NAME..."
        ),
    ] = None,
    data: Annotated[Literal["clothes", "digits"], typer.Option(help="What small networks are trained on.")] = "clothes",
    photos: Annotated[
        Path | None, typer.Option(help="Photos with labels.csv, for the recipes that take a large network.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where models, reports and the table are written.")] = BUILT,
    seed: Annotated[int, typer.Option(help="What all chance begins with.")] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="Only to see that it runs: its figures say nothing.")] = False,
    cores: Annotated[int, typer.Option(help="Cores that training takes.", min=1)] = 2,
    no_log: Annotated[bool, typer.Option("--no-log", help="Keep no record (topfive experiments).")] = False,
) -> None:
    """Run recipes that make a model smaller or faster; each ends in `topfive import` and `topfive evaluate`."""
    if not names:
        typer.echo("\n".join(f"{name:14} {first_line(name)}" for name in RECIPES))
        return
    try:
        _check(names, photos)
        from recipes.kit import running  # imports PyTorch

        if names != [_TABLE]:
            setting = running.setting_of(
                data, photos=photos, out=out, seed=seed, quick=quick, cores=cores, logs=not no_log
            )
            for name in RECIPES if names == [_ALL] else names:
                running.run(name, setting)
        typer.echo(running.table(out, RECIPES))
    except ConfigurationError as error:
        typer.echo(f"recipes: {error}", err=True)
        raise typer.Exit(2) from error


def first_line(name: str) -> str:
    """What the recipe `name` does, by the first line of its file; PyTorch is not needed to say it."""
    said = ast.get_docstring(ast.parse((Path(__file__).parent / f"{name}.py").read_text(encoding="utf-8"))) or ""
    return said.splitlines()[0]


def _check(names: Sequence[str], photos: Path | None) -> None:
    """Raise `ConfigurationError` before anything is done, if something is missing or unknown."""
    if names not in ([_ALL], [_TABLE]) and (unknown := [name for name in names if name not in RECIPES]):
        raise ConfigurationError(f"there is no recipe {', '.join(unknown)}; there are {', '.join(RECIPES)}, all, table")
    if photos is not None and not photos.is_dir():
        raise ConfigurationError(f"--photos {photos}: there is no such folder")
    if missing := [each for each in ("torch", "onnxscript", "sklearn") if not find_spec(each)]:
        raise ConfigurationError(f"{', '.join(missing)} is not installed: make setup-train")


if __name__ == "__main__":
    typer.run(main)
