"""What a recipe is run with: the pictures, where things are written, how long it may take, and who is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from recipes.kit.data import Data


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How a recipe is run.

    `data`: labelled pictures that small networks are trained on. `photos`: a folder of photos for the recipes that take
    a large network; None if there are none. `out`: the folder that everything is written into. `quick`: seconds
    instead of minutes, to see that it runs; its figures say nothing. `logs`: whether runs are recorded (`topfive
    experiments`). `say`: is told what is being done.
    """

    data: Data
    photos: Path | None
    out: Path
    quick: bool
    seed: int
    logs: bool
    say: Callable[[str], None]

    @property
    def repository(self) -> Path:
        """The model repository that all recipes import into."""
        return self.out / "models"

    def either(self, full: int, quick: int) -> int:
        """A number of epochs, pictures or rounds: `full`, or `quick` where it is only to be seen that it runs."""
        return quick if self.quick else full
