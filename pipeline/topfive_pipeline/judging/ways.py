"""How a model is to run, if not as its config.pbtxt says: an engine and a precision, as in `NAME:2@openvino-bf16`.

What does not live here: which model that is (`judging.subjects`), and whether this machine can (`proof.engines`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from topfive.ground.errors import ConfigurationError
from topfive.repository.accelerators import Engine, Precision
from topfive.repository.model_config import ModelConfig
from topfive.repository.precision import precision_of
from topfive_pipeline.proof.engines import why_not

Numbers = Literal["fp32", "bf16", "int8"]
"""In which numbers a model computes: an engine's precision, or `int8` for a graph that is quantised."""

ENGINES: Final[tuple[Engine, ...]] = ("onnxruntime", "openvino")
NUMBERS: Final[tuple[Numbers, ...]] = ("fp32", "bf16", "int8")
_PRECISIONS: Final[dict[Numbers, Precision]] = {"fp32": "fp32", "bf16": "bf16", "int8": "fp32"}
"""By the numbers wanted, those of what is in floating point: of a quantised graph that is a part."""
_BETWEEN: Final = re.compile(r"[-+]")


@dataclass(frozen=True, slots=True)
class Way:
    """An engine and numbers; None for what its config.pbtxt, and its file, have."""

    engine: Engine | None = None
    numbers: Numbers | None = None

    def __str__(self) -> str:
        return "-".join(filter(None, (self.engine, self.numbers)))

    @property
    def words(self) -> str:
        """For tables."""
        return str(self).replace("-", " ")


def read_way(said: str, *, of: str) -> Way:
    """The way that is `said` after the @ of the model `of`; raises `ConfigurationError` if it is none."""
    words = _BETWEEN.split(said)
    engines = [engine for engine in ENGINES if engine in words]
    numbers = [each for each in NUMBERS if each in words]
    if len(engines) + len(numbers) != len(words) or len(engines) > 1 or len(numbers) > 1:
        raise ConfigurationError(
            f"{of!r}: after the @ there may be an engine ({', '.join(ENGINES)}), a precision ({', '.join(NUMBERS)}), "
            "or both with - between them, as in NAME:2@openvino-bf16"
        )
    return Way(engines[0] if engines else None, numbers[0] if numbers else None)


def ways_of(engines: Sequence[str], numbers: Sequence[str]) -> list[Way]:
    """Every engine with all numbers; if there are none of one kind, only the other is chosen.

    Raises `ConfigurationError` if one does not exist.
    """
    for flag, said, known in (("engines", engines, ENGINES), ("precisions", numbers, NUMBERS)):
        for each in said:
            if each not in known:
                raise ConfigurationError(f"--{flag}: {each!r} is none; it must be of {', '.join(known)}")
    on: list[Engine | None] = [*(known for known in ENGINES if known in engines)] or [None]
    computing: list[Numbers | None] = [*(known for known in NUMBERS if known in numbers)] or [None]
    return [Way(engine, each) for engine in on for each in computing]


def numbers_of(path: Path, config: ModelConfig) -> Numbers:
    """The numbers in which the graph in the file at `path` computes by `config`."""
    return "int8" if precision_of(path) == "INT8" else config.precision


def why_not_so(path: Path, config: ModelConfig, way: Way) -> str | None:
    """Why the graph in the file at `path` cannot run in this way here; None if it can."""
    changed = changed_by(config, way)
    if (why := why_not(changed.engine, changed.precision)) is not None:
        return why
    quantised = precision_of(path) == "INT8"
    if way.numbers == "int8" and not quantised:
        return "its graph is not quantised; `topfive optimise` makes a version that is"
    if way.numbers in ("fp32", "bf16") and quantised:
        return "its graph is quantised: it computes in int8"
    return None


def changed_by(config: ModelConfig, way: Way) -> ModelConfig:
    """`config` with the engine and the precision of `way`; an engine that is named alone computes in fp32."""
    engine = way.engine or config.engine
    kept = config.precision if engine == config.engine else "fp32"
    return replace(config, engine=engine, precision=kept if way.numbers is None else _PRECISIONS[way.numbers])
