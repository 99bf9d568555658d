"""`python -m recipes NAME...`: run recipes end to end, and show the table of all that were run."""

from __future__ import annotations

import time
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Annotated, Final

import torch
import typer

from recipes.kit import data as pictures
from recipes.kit import rows
from recipes.kit.setting import BUILT, Setting
from topfive.ground.errors import ConfigurationError

RECIPES: Final = (
    "hygiene",
    "fold",
    "repvgg",
    "freeze",
    "distil",
    "distil_photos",
    "qat",
    "prune",
    "mixed",
    "transformers",
)
"""In the order in which they are best read."""


def main(
    names: Annotated[list[str], typer.Argument(help=f"{', '.join(RECIPES)}, or all.", metavar="NAME...")],
    data: Annotated[pictures.Name, typer.Option(help="What small networks are trained on.")] = "clothes",
    photos: Annotated[
        Path | None, typer.Option(help="Photos with labels.csv, for the recipes that take a large network.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where models, reports and the table are written.")] = BUILT,
    seed: Annotated[int, typer.Option(help="What all chance begins with.")] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="Only to see that it runs: its figures say nothing.")] = False,
    cores: Annotated[int, typer.Option(help="Cores that training takes.", min=1)] = 2,
) -> None:
    """Run recipes that make a model smaller or faster; each ends in `topfive import` and `topfive evaluate`."""
    torch.set_num_threads(cores)
    chosen = RECIPES if names == ["all"] else tuple(names)
    for name in chosen:
        if name not in RECIPES:
            raise typer.BadParameter(f"there is no recipe {name!r}; there are {', '.join(RECIPES)}")
    try:
        loaded = pictures.load(data)
        setting = Setting(
            data=loaded.quick() if quick else loaded, photos=photos, out=out, quick=quick, seed=seed, say=typer.echo
        )
        for name in chosen:
            run(name, setting)
    except ConfigurationError as error:
        typer.echo(f"recipes: {error}", err=True)
        raise typer.Exit(2) from error
    typer.echo("\n" + rows.markdown(rows.stored(setting.out / "rows", RECIPES)))


def run(name: str, setting: Setting) -> list[rows.Row]:
    """Run the recipe `name`, and keep its rows; return them."""
    started = time.perf_counter()
    torch.manual_seed(setting.seed)
    found = import_module(f"recipes.{name}").run(replace(setting, say=lambda text: setting.say(f"{name}: {text}")))
    minutes = (time.perf_counter() - started) / 60
    found = [replace(row, minutes=minutes) for row in found]
    rows.store(found, setting.out / "rows", name)
    return found


if __name__ == "__main__":
    typer.run(main)
