"""Command lines of `topfive import` for copying: as the user's own, but with another preprocessing."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from topfive_pipeline.importer import Plan
from topfive_pipeline.preprocessing.candidates import candidates
from topfive_pipeline.preprocessing.flags import command_line
from topfive_pipeline.preprocessing.rules import Preprocessing


def beginning(model: str, said: Mapping[str, object]) -> str:
    """The beginning of a command line like this one, without what it says of the preprocessing."""
    flags = [
        word
        for flag, value in said.items()
        if value is not None and value is not False
        for word in ((f"--{flag}",) if value is True else (f"--{flag}", str(value)))
    ]
    return shlex.join(["topfive", "import", model, *flags])


def flags(planned: Plan, rules: Preprocessing) -> str:
    """The end of it: the flags that say `rules`."""
    return command_line(rules, network_crop=planned.network.size)


def customary(planned: Plan) -> list[tuple[str, Preprocessing]]:
    """Names and rules of the customary preprocessings for the network."""
    crop = planned.network.size
    if crop is None:
        said = planned.resolved.choices.get("crop")
        crop = said.value if said is not None else (224, 224)
    found = candidates(crop=crop, channels=planned.network.channels)
    if planned.network.input.dtype == "uint8":  # such a network normalises by itself
        return [(name, rules) for name, rules in found if (rules.scale, rules.mean, rules.std) == (1.0, (0.0,), (1.0,))]
    return found
