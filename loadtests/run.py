"""A whole run: it prepares target and queries, measures the plan, and returns the results.

`measuring` has the order of the measurements; `report` writes the results.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from loadtests import corpus, environment, query_files
from loadtests.locust_process import GeneratorFailed
from loadtests.marks import Marks
from loadtests.measuring import Measuring
from loadtests.oracle import Oracle
from loadtests.queries import Query
from loadtests.results import Run
from loadtests.run_plan import RunPlan
from loadtests.sampling import Sampler
from loadtests.target import Target, in_int8

INTERRUPTED = "it was interrupted: what had not been measured by then is missing"


def run(
    target: Target, plan: RunPlan, *, name: str, marks_port: int | None, pid: int | None, say: Callable[[str], None]
) -> Run:
    """Measure the plan. After Ctrl-C or a failed generator, return the results so far.

    `say` gets lines of progress. `marks_port`: serves the current phase for Prometheus. `pid`: the process of a server
    on this machine that does not report its CPU and memory itself.
    """
    zero, began = time.monotonic(), datetime.now(UTC)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="topfive-corpus-")))
        oracle, queries = _corpus(target, plan, folder, say=say)
        sampler = stack.enter_context(Sampler(target.metrics_url, pid=pid, zero=zero))
        marks = stack.enter_context(Marks(port=marks_port, run=name)) if marks_port is not None else None
        measuring = Measuring(target, plan, folder, queries, sampler, marks, zero, say)
        try:
            measuring.everything()
        except KeyboardInterrupt:
            measuring.faults.append(INTERRUPTED)
        except GeneratorFailed as error:
            measuring.faults.append(str(error))
    if not sampler.readings:
        say(f"{target.metrics_url} told nothing: the report has no figures of the server's own")
    elif sampler.missed:
        say(f"{target.metrics_url} did not answer {sampler.missed} of {sampler.asked} times")
    return Run(
        name=name,
        url=target.url,
        began=began.isoformat(timespec="seconds"),
        seconds=time.monotonic() - zero,
        environment=environment.describe(target, oracle.graphs, settings=plan.described()),
        null=measuring.null,
        closed=measuring.closed,
        shapes=measuring.shapes,
        open=measuring.open,
        capacities=measuring.capacities,
        moments=sampler.moments,
        faults=measuring.faults,
    )


def _corpus(target: Target, plan: RunPlan, folder: Path, *, say: Callable[[str], None]) -> tuple[Oracle, list[Query]]:
    """Make the queries, and write them to the folder for all generators."""
    say("computing what is right, in process")
    oracle = Oracle(plan.repository, plan.model, in_int8=in_int8(target.metrics_url))
    photos = corpus.photos(plan.photos, seed=plan.seed, size=oracle.size)
    made = corpus.build(photos, oracle, mixes=plan.all_mixes, scenarios=plan.scenarios)
    count = query_files.write(made, folder)
    say(f"{count} queries of {len(photos)} photos")
    return oracle, query_files.read(folder)
