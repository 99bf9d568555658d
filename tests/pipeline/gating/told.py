"""A gate's findings for tests: one that is missed, one that is unknown, and one that is met."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from topfive_pipeline.gating.answers import Answer, PhotoAnswers, Prediction
from topfive_pipeline.gating.findings import Chapter, Finding, Plot
from topfive_pipeline.gating.gate import Gated
from topfive_pipeline.judging.machine import Machine
from topfive_pipeline.judging.tables import Table
from topfive_pipeline.proof.photos import Photo

MISSED: Final = Finding(name="p99 at 8 workers", seen="61 ms", wanted="≤ 50 ms", met=False, reasons=("<b>round 2</b>",))
UNKNOWN: Final = Finding(name="memory", seen="could not run", wanted="a result", met=None, note="no /metrics | here")
MET: Final = Finding(name="case: a cup", seen="cup 96.1%", wanted="cup first", met=True)
GATED: Final = Gated(
    candidate="pets:2",
    live="pets:1",
    chapters=(
        Chapter(key="cases", title="Must-pass cases", findings=(MET,) * 8, lead="8 of 8"),
        Chapter(
            key="load",
            title="Load",
            findings=(MET, MISSED, UNKNOWN),
            tables=(Table(("workers", "p99, ms"), (("8", "61"),)),),
            plots=(Plot(svg="<svg></svg>", caption="Latency & rate"),),
            notes=("interleaved",),
            figures={"p99": 0.061},
        ),
    ),
    left_out=("quality (--photos)",),
    machine=Machine("a processor", 2, "1.0", "0.1"),
    seconds=12.3,
)


def answer(*labels: str, first: float = 0.5) -> Answer:
    """These labels, best first, each half as probable as the one before; their index is their length."""
    return Answer(200, tuple(Prediction(label, len(label), first / 2**place) for place, label in enumerate(labels)))


def answers(rows: Sequence[tuple[Photo, Answer, Answer]]) -> PhotoAnswers:
    """Of photos, each with the candidate's and the live version's answer."""
    photos, candidate, live = zip(*rows, strict=True)
    return PhotoAnswers(photos, candidate, live)
