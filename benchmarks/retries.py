"""How much work retries of a proxy add where there is too much of it already: `python -m benchmarks retries`.

An open loop at twice the capacity goes through each proxy to three replicas; a third of the way, one of them is killed.
Attempts at replicas are counted in the proxy's log. Beside the deployed files, one retries all that it can.
"""

import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from typer import Option

from benchmarks import answers, haproxy, load_figures, nginx, report, workloads
from benchmarks import options as o
from benchmarks.incidents import Replicas
from benchmarks.overload import closed_loop
from benchmarks.proxies import Exchange
from benchmarks.replicas import PROXIES
from benchmarks.server import free_port
from topfive_loadgen import tables, verdict
from topfive_loadgen.aside import Aside
from topfive_loadgen.open_loop import drive as drive_open
from topfive_loadgen.plan import LAG_LIMIT_OF_COUNTS_SECONDS, Done, OpenLoad
from topfive_loadgen.verdict import Check

REPLICAS = 3
FACTOR = 2.0  # times the capacity
CONNECTIONS = 2048
"""So many that the generator waits for none, for requests under way add up where answers are late."""
SHORT_QUEUE = ("--max-queue-wait-seconds", "0.25", "--cores", "1")
SAFE, CARELESS = "error timeout invalid_header http_502 http_503 non_idempotent;", "tries 2;"
NGINX, HAPROXY, ALL_ERRORS = "nginx", "haproxy", "nginx that retries everything"
MOST = 1.1
"""Target: attempts at replicas for each request, by the deployed files."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A proxy in overload: what its log tells, and what the clients had. `lost`: one replica was killed meanwhile."""

    name: str
    lost: bool
    exchanges: list[Exchange]
    run: Done
    seconds: float

    @property
    def figures(self) -> Mapping[str, float]:
        """Sums over the phase; a request may have no attempt at all, if no replica was there."""
        seen = load_figures.summarise(self.run.samples, after=0, until=self.seconds)
        requests = len(self.exchanges)
        return {
            "requests": requests,
            "attempts": sum(len(one.tried) for one in self.exchanges),
            "attempts a request": sum(len(one.tried) for one in self.exchanges) / max(1, requests),
            "good/s": seen[load_figures.GOODPUT],
            "200": sum(one.status == load_figures.OK for one in self.run.samples),
            "429": sum(one.status == load_figures.TOO_MANY for one in self.run.samples),
            "503": sum(one.status == load_figures.UNAVAILABLE for one in self.run.samples),
            "other": sum(one.status not in (200, 429, 503) for one in self.run.samples),
            "p99 of 200, ms": seen[load_figures.P99],
        }


def careless(text: str) -> str:
    """Nginx' deployed file, but all that it can retry is retried, as often as there are replicas."""
    for old, new in (
        (SAFE, SAFE.replace("http_503", "http_500 http_503 http_504 http_429")),
        (CARELESS, "tries 0;"),
    ):
        if text.count(old) != 1:
            raise SystemExit(f"{nginx.DEPLOYED} has {text.count(old)} times '{old}', not once")
        text = text.replace(old, new)
    return text


def checks(found: list[Phase]) -> list[Check]:
    """The deployed files must add little, whatever happens, and nobody may be left without an answer."""
    deployed = [one for one in found if one.name != ALL_ERRORS]
    return [
        *(
            verdict.at_most(
                f"attempts a request, {one.name}{', one lost' if one.lost else ''}",
                one.figures["attempts a request"],
                MOST,
            )
            for one in deployed
        ),
        verdict.none_of(
            "requests without an answer", [s.reason for one in deployed for s in one.run.samples if not s.status]
        ),
    ]


def main(
    *,
    model_repository: o.Repository = o.REPOSITORY,
    images: o.Images = None,
    seconds: o.PhaseSeconds = 6.0,
    capacity: Annotated[float | None, Option(help="requests per second (default: it is measured)")] = None,
    seed: o.Seed = 1,
    json: o.Json = None,
) -> int:
    """Count attempts at replicas for each request, at twice the capacity, and with one replica lost besides."""
    requests = [workloads.request(one) for one in workloads.load(images)[workloads.RAW224]]
    texts = {NGINX: nginx.DEPLOYED.read_text(), HAPROXY: haproxy.DEPLOYED.read_text()}
    texts[ALL_ERRORS] = careless(texts[NGINX])
    found: list[Phase] = []
    with tempfile.TemporaryDirectory(prefix="topfive-proxy-") as folder, ExitStack() as stack:
        Path(folder).chmod(0o755)
        replicas = Replicas(model_repository.resolve(), SHORT_QUEUE, count=REPLICAS, network=None)
        stack.callback(replicas.close)
        aside = stack.enter_context(Aside())
        for name in (NGINX, HAPROXY, ALL_ERRORS):
            for lost in (False, True):
                place = Path(folder) / f"{name}{lost}".replace(" ", "-")
                place.mkdir()
                kind = PROXIES[HAPROXY if name == HAPROXY else NGINX]
                front = kind.before(place, replicas=replicas.addresses, port=free_port(), deployed=texts[name])
                stack.callback(front.close)
                url = f"http://127.0.0.1:{front.address[1]}"
                before = len(front.exchanges())
                if capacity is None:
                    capacity = aside.run(closed_loop, url=url, requests=requests, warm_seconds=4.0, seconds=3.0)
                    before = len(front.exchanges())
                plan = OpenLoad(
                    url=url,
                    requests=requests,
                    rate=FACTOR * capacity,
                    seconds=seconds,
                    seed=seed,
                    max_connections=CONNECTIONS,
                    read=answers.top_index,
                )
                aside.start(drive_open, plan=plan)
                if lost:
                    time.sleep(seconds / 3)  # load before it is part of the run
                    replicas.kill(0)
                run = aside.result()
                front.close()
                found.append(Phase(name, lost, front.exchanges()[before:], run, seconds))
                if lost:
                    replicas.start(0)
    rows = [
        (one.name, "one" if one.lost else "none", *(tables.number(value) for value in one.figures.values()))
        for one in found
    ]
    faults = [fault for one in found for fault in one.run.faults(lag_limit_seconds=LAG_LIMIT_OF_COUNTS_SECONDS)]
    calm = [one.name for one in found if one.name != ALL_ERRORS and not one.figures["429"]]
    return report.finish(
        checks(found),
        [*faults, *(f"{name} had no overload, for nothing was refused: raise --capacity" for name in calm)],
        shown=[
            f"{FACTOR:g} times {capacity or 0:.0f} requests/s",
            tables.markdown(tables.of([("proxy", "lost", *found[0].figures), *rows])),
        ],
        json=json,
        document={"phases": [{"name": one.name, "lost": one.lost, **one.figures} for one in found]},
    )
