"""Runs a recipe, and keeps, records and shows what it found."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import torch
import typer

from recipes.kit import plots, rows
from recipes.kit.data import Name, load
from recipes.kit.record import record
from recipes.kit.setting import Setting
from topfive.ground.errors import ConfigurationError


def setting_of(
    data: Name, *, photos: Path | None, out: Path, seed: int, quick: bool, cores: int, logs: bool
) -> Setting:
    """What recipes are run with; PyTorch takes `cores` from now on."""
    torch.set_num_threads(cores)
    pictures = load(data)
    return Setting(
        data=pictures.quick() if quick else pictures,
        photos=photos,
        out=out,
        quick=quick,
        seed=seed,
        logs=logs,
        say=typer.echo,
    )


def run(name: str, setting: Setting) -> list[rows.Row]:
    """Run the recipe `name`; keep its rows in the setting's folder, record them, and return them."""
    started = time.perf_counter()
    torch.manual_seed(setting.seed)
    own = replace(setting, say=lambda text: setting.say(f"{name}: {text}"))
    found: list[rows.Row] = import_module(f"recipes.{name}").run(own)
    minutes = (time.perf_counter() - started) / 60
    found = [replace(row, minutes=minutes) for row in found]
    rows.store(found, setting.out / "rows", name)
    record(own, name, found)
    return found


def table(out: Path, recipes: Sequence[str]) -> str:
    """The table of all that was run into the folder `out`, which is written there, beside its picture."""
    found = rows.stored(out / "rows", recipes)
    if not found:
        raise ConfigurationError(f"no recipe was run into {out}; `python -m recipes fold` runs one")
    text = rows.markdown(found)
    (out / "table.md").write_text(text, encoding="utf-8")
    picture = plots.plot(found, out / "table.png")
    return f"\n{text}\nwritten: {out / 'table.md'}{'' if picture is None else f', {picture}'}"
