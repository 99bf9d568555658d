"""What is asked of an optimisation: which model, which photos for what, and where the result lands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from topfive.ground.errors import ConfigurationError
from topfive.machine.cpu_features import DOT_PRODUCTS, dot_products_of_bytes
from topfive.repository.accelerators import Engine
from topfive_pipeline.entry.names import check_name, folders
from topfive_pipeline.entry.writing import next_version, versions
from topfive_pipeline.judging import split
from topfive_pipeline.judging.subjects import Subject, find
from topfive_pipeline.optimising.calibration import Method
from topfive_pipeline.proof.photos import Photo

BESIDE: Final = "beside"
Numbers = Literal["int8", "mixed", "bf16", "fp16"]
"""`int8`: all layers; `mixed`: sensitive layers in floating point; `bf16` and `fp16`: floating point of 16 bits."""
NUMBERS: Final[tuple[Numbers, ...]] = get_args(Numbers)
_CALIBRATES: Final = 128
"""Photos: ranges hardly change with more."""
_HELD: Final = 256
_FEWEST: Final = 8
"""Photos in each half: with fewer, ranges are those of single pictures, and judging says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the user said.

    `model`: NAME or NAME:VERSION. `budget`: points of top-1 that may be lost. `place`: `next`, `beside` (the next
    version, with the graph as it was), a version's number, or the name of a model of its own. `seconds`: for trials;
    judging and proving come after. `crosses`: whether the recipe is judged on both halves. `accepts_undecided`: whether
    a loss above the budget lands if it may be below it. `engines` and `precisions` may be combined; `most_ms` for an
    image alone, `most_mb` of memory. `link`: of a model that is about to be written (NAME:VERSION) the properties by
    which its graph names the record of its making.
    """

    model: str
    repository: Path
    budget: float = 0.5
    place: str = "next"
    method: Method | Literal["auto"] = "auto"
    seconds: float = 600.0
    dry_run: bool = False
    crosses: bool = True
    accepts_undecided: bool = False
    engines: tuple[Engine, ...] = ("onnxruntime",)
    precisions: frozenset[Numbers] = frozenset({"int8", "mixed"})
    most_ms: float | None = None
    most_mb: float | None = None
    link: Callable[[str], Mapping[str, str]] = lambda _: {}

    @property
    def compares_candidates(self) -> bool:
        """Whether more is asked than the int8 graph on ONNX Runtime."""
        beyond_int8 = not self.precisions <= {"int8", "mixed"}
        return beyond_int8 or self.engines != ("onnxruntime",) or self.most_ms is not None or self.most_mb is not None

    @property
    def beside(self) -> bool:
        """Whether the int8 graph lies beside the original, and the server chooses between them."""
        return self.place == BESIDE


def subject_of(wanted: Wanted) -> Subject:
    """The model that is wanted; raises `ConfigurationError` if there is none that an import could have written."""
    (subject,) = find([wanted.model], wanted.repository, original=True)
    if subject.classify.config.engine != "onnxruntime":
        raise ConfigurationError(
            f"'{subject.classify.config.name}' runs on another engine ({subject.classify.config.engine}), and what "
            "is quantised is measured on ONNX Runtime; take a copy without execution_accelerators"
        )
    name = subject.title.rpartition(":")[0]
    usual = folders(name)[:2]
    if subject.resize is None or (subject.resize.config.name, subject.classify.config.name) != usual:
        raise ConfigurationError(
            f"'{name}' is not made of {usual[0]} and {usual[1]}, as `topfive import` writes a model; import it first"
        )
    return subject


def check_engines(wanted: Wanted) -> None:
    """Raise `ConfigurationError` if another engine could not be written into a config.pbtxt of its own."""
    if "openvino" not in wanted.engines or wanted.dry_run:
        return
    is_name = wanted.place not in ("next", BESIDE) and not wanted.place.isdigit()
    if not is_name or (wanted.repository / wanted.place).exists():
        raise ConfigurationError(
            "--engines openvino: a config.pbtxt chooses one engine for all versions of a model, so what is found must "
            "be a model of its own; name one that is not there yet, as in --as NAME_fast, or use --dry-run"
        )


def place_of(wanted: Wanted, subject: Subject) -> tuple[str, int]:
    """The name and the version to write."""
    name = subject.title.rpartition(":")[0]
    if wanted.beside and not dot_products_of_bytes():
        raise ConfigurationError(
            f"--as beside: a server on this processor would not choose the int8 graph, for it has none of "
            f"{', '.join(DOT_PRODUCTS)}; if int8 pays here all the same, --as next has it served in any case"
        )
    if wanted.place in ("next", BESIDE):
        return name, next_version(wanted.repository, name)
    if wanted.place.isascii() and wanted.place.isdigit() and int(wanted.place) > 0:
        if int(wanted.place) in versions(wanted.repository / subject.classify.config.name):
            raise ConfigurationError(
                f"--as {wanted.place}: '{name}' has that version already; leave --as out to take the next, "
                f"{next_version(wanted.repository, name)}"
            )
        return name, int(wanted.place)
    check_name(wanted.place)
    return wanted.place, next_version(wanted.repository, wanted.place)


def halves(photos: Sequence[Photo]) -> tuple[list[Photo], list[Photo], list[Photo]]:
    """Photos that calibrate, those that trials are compared on, and those that judge: no file is in two of them."""
    half, judging = split.in_part(photos, "calibrate"), split.in_part(photos, "judge")
    count = min(_CALIBRATES, (len(half) + 1) // 2)
    calibrating, held = half[::2][:count], half[1::2][:_HELD]
    if min(len(calibrating), len(held), len(judging)) < _FEWEST:
        raise ConfigurationError(
            f"--photos: of {len(photos)} photos, {len(calibrating)} may calibrate, {len(held)} compare trials, and "
            f"{len(judging)} judge; {_FEWEST} of each are needed, so give at least {5 * _FEWEST}, better 500"
        )
    return calibrating, held, judging
