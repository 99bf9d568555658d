"""An open loop by hand: Poisson arrivals at a fixed rate on any service, `python -m benchmarks.open_loop`.

Latency counts from the scheduled time, whatever held the request up; how that is done is in `loadgen.open_loop`.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks import answers, load_figures, verdict, workloads
from benchmarks.server import Endpoint
from loadgen.open_loop import drive
from loadgen.plan import MAX_CONNECTIONS, Plan


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: send, print what came back, 1 for a run that is INVALID or has a request without an answer."""
    options = _parser().parse_args(arguments)
    plan = Plan(
        url=Endpoint.at(options.url).http_url,
        requests=[*map(workloads.request, workloads.load(options.images)[options.scenario])],
        rate=options.rate,
        seconds=options.seconds,
        seed=options.seed,
        max_connections=options.connections,
        read=answers.top_index,
    )
    done = drive(plan)
    measured = load_figures.summarise(done.samples, after=0.0, until=plan.seconds)
    print(load_figures.markdown({f"{plan.rate:g}/s": measured}))
    print(f"{done.connections} connections, {done.cpu_seconds / done.elapsed:.2f} cores for the generator")
    if options.json:
        options.json.write_text(json.dumps({"figures": measured, "run": done}, default=asdict) + "\n")
    unanswered = [str(answer.seen) for answer in done.samples if not answer.status]
    checks = [verdict.none_of("requests without an answer", unanswered)]
    print(verdict.conclude(checks, done.faults()))
    return verdict.exit_code(checks, done.faults())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks.open_loop", description=__doc__.partition(":")[0])
    add = parser.add_argument
    add("--url", required=True, help="the service, http://host:port")
    add("--rate", type=float, required=True, metavar="N", help="requests per second")
    add("--seconds", type=float, default=10.0)
    add("--seed", type=int, default=1)
    add("--scenario", choices=workloads.SCENARIOS, default=workloads.RAW224)
    add("--images", type=Path, metavar="DIR", help="JPEG photos to send (default: photos of installed packages)")
    add("--connections", type=int, default=MAX_CONNECTIONS, metavar="N", help="the most at once")
    add("--json", type=Path, metavar="FILE", help="write every answer")
    return parser


if __name__ == "__main__":
    sys.exit(main())
