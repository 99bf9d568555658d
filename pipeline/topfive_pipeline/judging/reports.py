"""The report of a judgement: JSON, Markdown, and one HTML file with its plots."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from topfive_pipeline.judging import documents
from topfive_pipeline.judging.contents import sections, summary
from topfive_pipeline.judging.documents import Document
from topfive_pipeline.judging.judge import Judgement

_CAPTIONS: Final = {
    "difference": "Up is more accurate, to the right is faster. Bars: the interval of 95 % of the difference, and the "
    "middle half of the rounds.",
    "accuracy": "Bars: where the share lies with 95 %. Whether two models differ is not to be seen here: look at the "
    "difference on the same photos.",
    "speed": "Median of the rounds' ratios; bars: the middle half of them.",
}


def told(judgement: Judgement, plots: Mapping[str, str]) -> Document:
    """A judgement with `plots`, if any, by the keys of their sections."""
    return Document(
        title="Models judged",
        said=summary(judgement),
        sections=sections(judgement),
        plots=plots,
        captions=_CAPTIONS,
    )


def write(judgement: Judgement, folder: Path) -> list[Path]:
    """Write judgement.json, report.md and report.html into `folder`, which is made if need be; their paths."""
    from topfive_pipeline.judging.plots import drawn  # needs matplotlib

    return documents.write(folder, "judgement", judgement.as_json(), told(judgement, drawn(judgement)))
