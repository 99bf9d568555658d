"""A single open loop: Poisson arrivals at a fixed rate on any service, `python -m benchmarks open_loop`.

Latency counts from the scheduled time; see `topfive_loadgen.open_loop`.
"""

from typing import Annotated

from typer import Option

from benchmarks import answers, load_figures, report, workloads
from benchmarks import options as o
from benchmarks.server import Endpoint
from topfive_loadgen import verdict
from topfive_loadgen.open_loop import drive
from topfive_loadgen.plan import MAX_CONNECTIONS, OpenLoad


def main(
    *,
    url: Annotated[str, Option(help="address of the service, http://host:port")],
    rate: o.Rate,
    seconds: Annotated[float, Option(min=0.01, help="how long requests are sent")] = 10.0,
    seed: o.Seed = 1,
    scenario: o.Scenario = "raw224",
    images: o.Images = None,
    connections: o.Connections = MAX_CONNECTIONS,
    json: o.Json = None,
) -> int:
    """Measure the latencies of Poisson arrivals at a fixed rate on any service; requests do not wait for answers.

    FAIL if a request has no answer, INVALID if the generator itself was late.
    """
    plan = OpenLoad(
        url=Endpoint.at(url).http_url,
        requests=[*map(workloads.request, workloads.load(images)[scenario])],
        rate=rate,
        seconds=seconds,
        seed=seed,
        max_connections=connections,
        read=answers.top_index,
    )
    done = drive(plan)
    measured = load_figures.summarise(done.samples, after=0.0, until=plan.seconds)
    unanswered = [sample.reason for sample in done.samples if not sample.status]
    shown = [
        load_figures.markdown({f"{rate:g}/s": measured}),
        f"{done.connections} connections, {done.cpu_seconds / done.elapsed:.2f} cores for the generator",
    ]
    document = {"figures": measured, "run": [(one.scheduled, one.latency, one.status) for one in done.samples]}
    checks = [verdict.none_of("requests without an answer", unanswered)]
    return report.finish(checks, done.faults(), shown=shown, json=json, document=document)
