"""Graphs on engines: each is judged and measured as the server would run it, and the fastest that is allowed is taken.

What lives here: which candidates there are, their figures, and the choice. What does not: the int8 graph itself, which
is chosen before, on ONNX Runtime.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import onnx

from topfive.machine.cores import usable_cores
from topfive.repository.accelerators import Engine, Precision
from topfive_pipeline.judging.footprint import Footprint, footprint_of
from topfive_pipeline.judging.limits import MB, MS
from topfive_pipeline.judging.speed import ALONE, Pace, paces_of
from topfive_pipeline.judging.subjects import Part, Subject
from topfive_pipeline.judging.ways import Way, changed_by
from topfive_pipeline.optimising.asked import Wanted
from topfive_pipeline.optimising.bench import Pictures, Progress, Scores
from topfive_pipeline.optimising.crossing import Half, judge_both
from topfive_pipeline.optimising.judged import Judged, judge, outcome
from topfive_pipeline.optimising.measuring import BATCH, with_scores
from topfive_pipeline.optimising.source import Source
from topfive_pipeline.optimising.trials import PAYS
from topfive_pipeline.proof.engines import why_not
from topfive_pipeline.proof.running import Graph

_ROUNDS: Final = 7
_IMAGES: Final = 4
"""Photos whose time alone is measured."""
_NO_FP16: Final = (
    "fp16 is left out: on CPUs ONNX Runtime computes FP16 as FP32, and OpenVINO has fp32 and bf16 here; bf16 has as "
    "few bits, and is fast where the processor has avx512_bf16 or amx_bf16"
)
ORIGINAL: Final = Way("onnxruntime", "fp32")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What was found of a way. `judged` is of the judging half, `recipe` of both; None for the original itself.

    `verdict`: why it is not taken; "" for the one that is.
    """

    way: Way
    judged: Judged
    recipe: Judged | None
    paces: tuple[Pace, ...]
    footprint: Footprint
    verdict: str = ""

    @property
    def pace(self) -> float:
        """The geometric mean of how many times as fast as the original it is, alone and in batches."""
        return float(prod(each.ratio.median for each in self.paces) ** (1 / len(self.paces)))

    @property
    def alone_ms(self) -> float:
        return next(each.seconds.median for each in self.paces if each.case == ALONE) * MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Graphs:
    """The graphs of all candidates, and what judges them.

    `int8`: the chosen graph, and the same recipe from the other half, if that was made; None if int8 does not pay.
    `judging` and `calibrating`: the pictures of both halves with the source's scores; `calibrating` is None if the
    recipe is not judged on both.
    """

    source: Source
    int8: tuple[Any, Any | None] | None
    judging: tuple[Pictures, Scores]
    calibrating: tuple[Pictures, Scores] | None


def ways(wanted: Wanted, *, has_int8: bool) -> tuple[list[Way], list[str]]:
    """What can be tried of what is `wanted`, the original first; and why each other cannot."""
    asked = [Way(engine, "int8") for engine in wanted.engines if has_int8]
    asked += [Way("openvino", "fp32")] * ("openvino" in wanted.engines)
    asked += [Way(engine, "bf16") for engine in wanted.engines if "bf16" in wanted.precisions]
    found, left_out = [ORIGINAL], [_NO_FP16] * ("fp16" in wanted.precisions)
    for way in asked:
        engine, precision = runs_on(way)
        if (why := why_not(engine, precision)) is None:
            found.append(way)
        else:
            left_out.append(f"{way} is left out: {why}")
    return found, left_out


def runs_on(way: Way) -> tuple[Engine, Precision]:
    """The engine of `way`, and the precision of what it computes in floating point."""
    assert way.engine is not None
    return way.engine, "bf16" if way.numbers == "bf16" else "fp32"


def measure(
    subject: Subject, graphs: Graphs, tried: Sequence[Way], *, budget: float, progress: Progress
) -> list[Candidate]:
    """The candidates of all `tried`, of which the first is the original; `budget` as a share."""
    cores = usable_cores(0)
    with TemporaryDirectory() as folder:
        path = Path(folder, "int8", "model.onnx")
        if graphs.int8 is not None:
            path.parent.mkdir()
            onnx.save(graphs.int8[0], path)
        subjects = [_subject(subject, way, path) for way in tried]
        answers = []
        for way in tried:
            progress(f"the answers of {way}")
            answers.append(_judged(way, graphs, budget))
        footprints = []
        for each in subjects:
            progress(f"loading {each.title}")
            footprints.append(footprint_of(each, cores=cores))
        images = [np.asarray(photo.image()) for photo in graphs.judging[0].photos[:_IMAGES]]
        paces = paces_of(subjects, images, batches=(1, BATCH), cores=cores, rounds=_ROUNDS, progress=progress)
    return [
        Candidate(way=way, judged=judged, recipe=recipe, paces=tuple(own), footprint=footprint)
        for way, (judged, recipe), own, footprint in zip(tried, answers, paces, footprints, strict=True)
    ]


def choose(found: Sequence[Candidate], wanted: Wanted) -> list[Candidate]:
    """All but the original with their verdicts: the fastest that is allowed first, if there is one."""
    said = [replace(each, verdict=_why_out(each, wanted)) for each in found if each.way != ORIGINAL]
    allowed = sorted((each for each in said if not each.verdict), key=lambda each: -each.pace)
    slower = [
        replace(each, verdict=f"slower than {allowed[0].way}: {each.pace:.2f} against {allowed[0].pace:.2f}")
        for each in allowed[1:]
    ]
    return [*allowed[:1], *slower, *(each for each in said if each.verdict)]


def _why_out(candidate: Candidate, wanted: Wanted) -> str:
    """Each reason for which it cannot be taken; "" if there is none."""
    judged, budget = candidate.recipe or candidate.judged, wanted.budget / 100
    meaning = outcome(judged, budget=budget)
    reasons = []
    if meaning == "strange":
        reasons.append(f"another first label on {1 - judged.distance.agreement:.1%}")
    if meaning == "beyond" or (meaning == "undecided" and not wanted.accepts_undecided):
        assert judged.loss is not None
        reasons.append(f"loses {judged.loss * 100:.1f} points" + (" (undecided)" if meaning == "undecided" else ""))
    if candidate.pace < PAYS:
        reasons.append(f"only {candidate.pace:.2f} times as fast")
    if wanted.most_ms is not None and candidate.alone_ms > wanted.most_ms:
        reasons.append(f"takes {candidate.alone_ms:.1f} ms")
    if wanted.most_mb is not None and (memory := candidate.footprint.memory_bytes * MB) > wanted.most_mb:
        reasons.append(f"takes {memory:.0f} MB")
    return " and ".join(reasons)


def _subject(subject: Subject, way: Way, int8: Path) -> Subject:
    path = int8 if way.numbers == "int8" else subject.classify.path
    return replace(subject, title=str(way), classify=Part(path, changed_by(subject.classify.config, way)))


def _judged(way: Way, graphs: Graphs, budget: float) -> tuple[Judged, Judged | None]:
    pictures, reference = graphs.judging
    first, second = (graphs.source.model, graphs.source.model)
    if way.numbers == "int8":
        assert graphs.int8 is not None
        first, second = graphs.int8
    half = Half(pictures, _scores(way, first, graphs.source.scores, pictures), reference)
    judged = judge(pictures, half.scores, reference, budget=budget)
    if graphs.calibrating is None or second is None:
        return judged, None
    others, before = graphs.calibrating
    other = Half(others, _scores(way, second, graphs.source.scores, others), before)
    return judged, judge_both(half, other, budget=budget)


def _scores(way: Way, model: Any, scores: str, pictures: Pictures) -> Scores:
    """FP64 [n, k]: the value `scores` of `model` on the engine of `way`."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        onnx.save(with_scores(model, scores), path)
        engine, precision = runs_on(way)
        graph = Graph(path, engine=engine, precision=precision)
        crops = pictures.crops
        rows = [graph.run(np.stack(crops[first : first + BATCH]))[0] for first in range(0, len(crops), BATCH)]
    return np.concatenate(rows).reshape(len(crops), -1).astype(np.float64)
