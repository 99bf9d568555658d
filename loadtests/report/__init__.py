"""The report of a stored run: JSON, Markdown, and one HTML file that needs nothing else."""

from __future__ import annotations

from pathlib import Path

from loadtests.report import chronicle, html, markdown
from loadtests.results import Run, save
from loadtests.slo import Objectives
from topfive_loadgen.verdict import Verdict

__all__ = ["chronicle", "html", "markdown", "write"]


def write(
    run: Run,
    folder: Path,
    *,
    baseline: Run | None = None,
    verdict: Verdict | None = None,
    objectives: Objectives | None = None,
) -> list[Path]:
    """Write run.json, report.md and report.html; the folder is made where there is none.

    `objectives` are drawn in the plots; the `verdict` by them is made elsewhere.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stored, text, page = (folder / name for name in ("run.json", "report.md", "report.html"))
    save(run, stored)
    text.write_text(markdown.render(run, baseline, verdict), encoding="utf-8")
    page.write_text(html.render(run, baseline, verdict, objectives), encoding="utf-8")
    return [stored, text, page]
