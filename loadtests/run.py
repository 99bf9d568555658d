"""A whole run: it prepares target and queries, measures the plan, and returns the results.

`measuring` has the order of the measurements; `report` writes the results.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from loadtests import corpus, environment, query_files, sharing
from loadtests.comparison import closed_subject, open_subject
from loadtests.course import Course
from loadtests.liveness import PATIENCE_SECONDS, Liveness, ServerLost
from loadtests.locust_process import GeneratorFailed
from loadtests.marks import Marks
from loadtests.measuring import Measuring
from loadtests.oracle import Oracle
from loadtests.progress import Progress
from loadtests.queries import Query
from loadtests.results import Run
from loadtests.run_plan import RunPlan
from loadtests.sampling import Sampler
from loadtests.target import Target, in_int8
from loadtests.watching import Watch

INTERRUPTED = "it was interrupted: what had not been measured by then is missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The options of a run that are not of its plan.

    `marks_port`: serves the current phase for Prometheus. `pid`: the process of a server on this machine that does not
    report its CPU and memory itself. `patience_seconds`: how long the server may answer nothing at all.
    """

    name: str
    marks_port: int | None = None
    pid: int | None = None
    patience_seconds: float = PATIENCE_SECONDS


def run(target: Target, plan: RunPlan, asked: Asked, progress: Progress) -> Run:
    """Measure the plan. After Ctrl-C, a failed generator or a lost server, return the results so far."""
    zero, began = time.monotonic(), datetime.now(UTC)
    say = progress.say
    following = Liveness(zero=zero, patience_seconds=asked.patience_seconds)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="topfive-corpus-")))
        oracle, queries = _corpus(target, plan, folder, say=say)
        stack.enter_context(Watch(target.url, following, say=progress.alarm))
        sampler = Sampler(target.metrics_url, following, pid=asked.pid, zero=zero, say=progress.alarm)
        stack.enter_context(sampler)
        port = asked.marks_port
        marks = stack.enter_context(Marks(port=port, run=asked.name)) if port is not None else None
        course = Course(zero=zero, say=progress.step, following=following, observe=sampler.server, count=progress.count)
        measuring = Measuring(target, plan, folder, queries, sampler, marks, course, progress)
        environment_then = environment.describe(target, oracle.graphs, settings=plan.described())
        with_whom = sharing.find(target.url, pid=asked.pid)
        say(with_whom.told)
        try:
            measuring.everything()
        except KeyboardInterrupt:
            measuring.faults.append(INTERRUPTED)
        except GeneratorFailed as error:
            measuring.faults.append(str(error))
        except ServerLost as error:
            measuring.faults.append(str(error))
        progress.finish()
    measuring.forget_the_dead()
    found = Run(
        name=asked.name,
        url=target.url,
        began=began.isoformat(timespec="seconds"),
        seconds=time.monotonic() - zero,
        environment=environment_then,
        null=measuring.null,
        closed=measuring.closed,
        shapes=measuring.shapes,
        open=measuring.open,
        capacities=measuring.capacities,
        moments=sampler.moments,
        scrapes=sampler.asked,
        gaps=sorted([*sampler.gaps, *following.gaps], key=lambda gap: gap.began),
        lost=following.lost,
        sharing=with_whom,
        faults=measuring.faults,
    )
    return replace(found, sharing=sharing.with_share(with_whom, found), faults=[*found.faults, *_never_answered(found)])


def _never_answered(found: Run) -> list[str]:
    """What has no right answer at all measured nothing, and must not look like a run that did."""
    cells = [(closed_subject(cell), cell.latency, cell.errors) for cell in found.closed]
    loops = [(open_subject(one), one.latency, one.errors) for one in found.open]
    return [
        f"{name}: not one right answer ({', '.join(f'{count} × {error}' for error, count in errors.items())})"
        for name, latency, errors in [*cells, *loops]
        if latency is None
    ]


def _corpus(target: Target, plan: RunPlan, folder: Path, *, say: Callable[[str], None]) -> tuple[Oracle, list[Query]]:
    """Make the queries, and write them to the folder for all generators."""
    say("computing what is right, in process")
    oracle = Oracle(plan.repository, plan.model, in_int8=in_int8(target.metrics_url))
    photos = corpus.photos(plan.photos, seed=plan.seed, size=oracle.size)
    made = corpus.build(photos, oracle, mixes=plan.all_mixes, scenarios=plan.scenarios)
    count = query_files.write(made, folder)
    say(f"{count} queries of {len(photos)} photos")
    return oracle, query_files.read(folder)
