"""Load, closed and open loop, of the candidate against the live version: chapters for the gate's report.

How the gate calls it, once both contestants answer:

    plan = LoadPlan(photos=photos, objectives=under_load.objectives.read(path))  # or None; `.quick()`: two minutes
    progress(f"load takes about {plan.expected_seconds:.0f} s")
    found = load.chapters(pair, plan, progress)  # a chapter for each mix, memory, start-up

`progress` is called with lines for people, as everywhere. A contestant whose server ends under load is a finding, not
an exception; `ConfigurationError` comes of photos that cannot be read alone.

What lives here: the order, and chapters. What does not: the loads (`gating.loading`), what must hold beside the live
version (`gating.load_beside`), objectives (`gating.load_objectives`), tables and plots.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

from topfive_pipeline.gating import load_beside, load_objectives, load_plots, load_tables, memory, start_up
from topfive_pipeline.gating.contestants import Pair
from topfive_pipeline.gating.findings import Chapter
from topfive_pipeline.gating.load_plan import LoadPlan
from topfive_pipeline.gating.loading import ROLES, Measured, Progress, measure
from topfive_pipeline.under_load.mixes import Mix

_HERE: Final = ("127.0.0.1", "localhost", "::1")
_MEANT: Final[Mapping[Mix, str]] = {
    "random": "Photos of usual sizes, as JPEG, PNG and pixels.",
    "complex": "The worst that is still legal: 12 megapixels as JPEG and pixels, 20:1 panoramas and towers, "
    "progressive, CMYK and EXIF-rotated JPEG, PNG with alpha, palette and 16 bits, images of nine pixels by seven.",
}


def chapters(pair: Pair, plan: LoadPlan, progress: Progress) -> list[Chapter]:
    """All that the gate finds under load: each mix, the memory, start-up."""
    started = start_up.chapter(pair, plan, progress)
    measured = measure(pair, plan, progress)
    found = [chapter(pair, measured, mix) for mix in plan.mixes]
    return [*found, memory.chapter(measured), started]


def chapter(pair: Pair, measured: Measured, mix: Mix) -> Chapter:
    """What was found under the loads of one mix."""
    plan = measured.plan
    findings = [] if plan.objectives is None else load_objectives.findings(measured, mix, plan.objectives)
    lead = (
        f"{_MEANT[mix]} Each load came {plan.rounds} times of either version, one right after the other. Closed loops: "
        "so many workers, each with one request in flight. The open loop: Poisson arrivals at "
        f"{plan.open_share:.0%} of what the live version does, latencies from when a request was due."
    )
    return Chapter(
        key=f"load-{mix}",
        title=f"Load: {mix} images",
        lead=lead,
        findings=(*findings, *load_beside.findings(measured, mix)),
        tables=load_tables.tables(measured, mix),
        plots=load_plots.latency(measured, mix),
        notes=tuple(_notes(pair, measured, mix)),
        figures=load_tables.figures(measured, mix),
    )


def _notes(pair: Pair, measured: Measured, mix: Mix) -> Iterator[str]:
    """What a reader should know of the figures."""
    plan = measured.plan
    here = [one.title for one in (pair.candidate, pair.live) if urlsplit(one.url).hostname in _HERE]
    if here:
        yield (
            f"The generator ran on the machine of the servers ({' and '.join(dict.fromkeys(here))}), and took of their "
            "cores: ratios hold better than the figures themselves."
        )
    mine, its = (measured.batches.get(role, "") for role in ROLES)
    if mine and its and mine != its and mix == plan.mixes[0]:
        yield (
            f"The candidate runs at most {mine} images at once, the live version {its}: each server measures at its "
            "start which size pays, so noise then may make two servers of one graph differ."
        )
    if measured.refused and mix == plan.mixes[0]:
        yield f"Both versions refuse these images, so they were not sent: {', '.join(measured.refused)}."
    yield (
        "Beside the live version p99 is compared, or p90 where a load has fewer than 100 answers: p99 would be the "
        "slowest of them."
    )
    if plan.is_quick:
        yield f"With --quick the loads are few and short, and only what is {plan.tolerance:.0%} worse counts."
    for cell in plan.cells:
        loads = [load for role in ROLES for load in measured.of(cell, role) if cell.mix == mix]
        faults = [load.fault for load in loads if load.fault]
        if faults:
            yield (
                f"{cell.title}: the generator may have been the limit in {len(faults)} of {len(loads)} loads "
                f"({faults[-1]}); rounds in which that was so are not compared."
            )
    yield "Whether the answers are right is not judged here: a load counts refusals and failures alone."
