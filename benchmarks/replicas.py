"""Replicas behind a real proxy that are lost and come back, under load: `python -m benchmarks replicas`.

It starts replicas, each on a machine of its own (a network namespace), and the real proxy with its file of `deploy/`;
it sends a steady load, and lets one of the scenarios of `incidents` happen. No request may fail.
"""

import math
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Literal

from typer import Option

from benchmarks import answers, haproxy, incidents, mix, namespaces, nginx, proxies, report, timeline, workloads
from benchmarks import options as o
from benchmarks.incidents import SCENARIOS, Incident, Replicas
from benchmarks.mix import REFUSED, Ask, Judged
from benchmarks.proxies import Proxy
from benchmarks.server import free_port
from topfive_loadgen import verdict
from topfive_loadgen.aside import Aside
from topfive_loadgen.open_loop import drive as drive_open
from topfive_loadgen.plan import LAG_LIMIT_OF_COUNTS_SECONDS, Done, OpenLoad
from topfive_loadgen.verdict import Check

PHOTO_COUNT = 8
PROXIES: Mapping[str, type[nginx.Nginx] | type[haproxy.HAProxy]] = {"nginx": nginx.Nginx, "haproxy": haproxy.HAProxy}
PACKAGES = {module.PROGRAM: module.PACKAGE for module in (nginx, haproxy)}


def judge(asks: Sequence[Ask], run: Done, *, ended_badly: Sequence[str]) -> tuple[list[Check], Judged]:
    """Check that every request was right, and that every replica ended as it should."""
    judged = mix.judge_all(asks, run.samples)
    refused = [f"{kind}: {count[REFUSED]}" for kind, count in judged.counts.items() if count.get(REFUSED)]
    return [
        verdict.none_of("requests without an answer", judged.lost),
        verdict.none_of("wrong answers", judged.wrong),
        verdict.none_of("kinds of requests refused", refused),
        verdict.none_of("replicas that ended with another exit code", ended_badly),
    ], judged


def under_load(
    replicas: Replicas, plan: OpenLoad, *, scenario: str, pause_seconds: float, away_seconds: float
) -> tuple[Done, list[Incident]]:
    """Run the load, and let the scenario happen during it."""
    with Aside() as aside:
        aside.start(drive_open, plan=plan)
        happened = incidents.happen(
            SCENARIOS[scenario], replicas, pause_seconds=pause_seconds, away_seconds=away_seconds
        )
        aside.stop()
        return aside.result(), happened


def need(proxy: str, *, scenario: str, namespaced: bool) -> None:
    """End the command if the proxy is not installed, or the network that is needed cannot be made."""
    if not proxies.is_there(proxy):
        raise SystemExit(f"there is no {proxy}; on Debian and Ubuntu: apt-get install {PACKAGES[proxy]}")
    if namespaced and (why := namespaces.missing()):
        raise SystemExit(f"{why}. Without: --no-namespaces, for all scenarios but 'unplugged'")
    if SCENARIOS[scenario].needs_network and not namespaced:
        raise SystemExit(f"'{scenario}' needs namespaces: there is no cable to pull without them")


def sendable(asks: Sequence[Ask], front: Proxy) -> tuple[list[Ask], list[str]]:
    """Those of the asks that the proxy can send a second time, and the kinds of the others, each with its number."""
    fit = [one for one in asks if len(one.message) <= front.sent_again()]
    others = Counter(one.kind for one in asks if len(one.message) > front.sent_again())
    return fit, [f"{kind} ({count})" for kind, count in others.items()]


def main(
    *,
    proxy: Annotated[Literal["nginx", "haproxy"], Option(help="what stands in front of the replicas")] = "nginx",
    scenario: Annotated[
        Literal["rolling", "drain", "killed", "unplugged", "hung"],
        Option(
            help="all restarted one by one; or one of them ended by SIGTERM, killed by SIGKILL, without its cable, or "
            "stopped in the middle of its work, for --away seconds"
        ),
    ] = "rolling",
    count: Annotated[int, Option("--replicas", min=2, metavar="N", help="how many")] = 2,
    model_repository: o.Repository = o.REPOSITORY,
    model: o.Model = o.MODEL,
    images: o.Images = None,
    rate: Annotated[
        float, Option(min=0.001, metavar="N", help="requests per second; one replica less must bear them too")
    ] = 20.0,
    pause: Annotated[
        float, Option(metavar="SECONDS", help="seconds of load before, between and after what happens")
    ] = 3.0,
    away: Annotated[float, Option(metavar="SECONDS", help="how long the one replica is away")] = 8.0,
    drain_grace: Annotated[
        float, Option(metavar="SECONDS", help="the replicas' drain grace; longer than the proxy takes to notice")
    ] = 3.0,
    namespaced: Annotated[bool, Option("--namespaces/--no-namespaces", help="each replica in its own network")] = True,
    seed: o.Seed = 1,
    service_flag: o.Flags = o.NONE_GIVEN,
    json: o.Json = None,
    plot: Annotated[Path | None, Option(metavar="FILE", help="draw every answer over time into this file")] = None,
) -> int:
    """Replicas behind a proxy, restarted or lost under load: no request may fail."""
    need(proxy, scenario=scenario, namespaced=namespaced)
    payloads = workloads.load(images)
    sent = [image for kind in workloads.SCENARIOS for image in payloads[kind][:PHOTO_COUNT]]
    flags = ["--drain-grace-seconds", str(drain_grace), *service_flag]
    with tempfile.TemporaryDirectory(prefix="topfive-proxy-") as folder, ExitStack() as stack:
        network = namespaces.Network(count) if namespaced else None
        if network:
            stack.callback(network.close)
        replicas = Replicas(model_repository.resolve(), flags, count=count, network=network)
        stack.callback(replicas.close)
        front = PROXIES[proxy].before(Path(folder), replicas=replicas.addresses, port=free_port())
        stack.callback(front.close)
        asks, too_large = sendable(mix.good_asks(model, sent), front)
        asks, missing = mix.with_right_answers(front.address, asks)
        plan = OpenLoad(
            url=f"http://127.0.0.1:{front.address[1]}",
            requests=[one.message for one in asks],
            rate=rate,
            seconds=math.inf,  # stopped after the last incident
            seed=seed,
            read=answers.told,
        )
        run, happened = under_load(replicas, plan, scenario=scenario, pause_seconds=pause, away_seconds=away)
        epoch = time.time() - time.monotonic()
        codes = replicas.close()
        front.close()
        exchanges, errors = front.exchanges(), front.errors()
    badly = [f"replica {one.replica + 1}: {one.code}" for one in happened if one.ended_badly]
    badly += [f"replica {number}, at the end: {code}" for number, code in enumerate(codes, 1) if code]
    checks, judged = judge(asks, run, ended_badly=badly)
    effects = [incidents.effect(one, run, exchanges, epoch=epoch) for one in happened]
    by_replica = dict(Counter(one.tried[-1] for one in exchanges if one.tried))
    shown = [
        f"{scenario} behind {proxy}: {len(run.samples)} requests in {run.elapsed:.1f} s, answered by {by_replica}",
        f"{proxies.retried(exchanges)} tried again by {proxy}; lines of its log of errors: {len(errors.splitlines())}",
        *map(str, effects),
        *(f"left out, for there is no such route: {kind}" for kind in missing),
        *(f"left out, for {proxy} cannot send so large a request again: {kind}" for kind in too_large),
    ]
    if plot:
        dots = [(one.scheduled, one.latency, one.status) for one in run.samples]
        spans = [(one.lost - run.began, one.back - run.began) for one in happened]
        timeline.draw_latencies({f"{scenario}, {proxy}": dots}, plot, away={f"{scenario}, {proxy}": spans})
    return report.finish(
        checks,
        run.faults(lag_limit_seconds=LAG_LIMIT_OF_COUNTS_SECONDS),
        shown=["\n".join(shown), mix.markdown(judged)],
        json=json,
        document={
            "proxy": proxy,
            "scenario": scenario,
            "counts": judged.counts,
            "by_replica": by_replica,
            "retried": proxies.retried(exchanges),
            "effects": effects,
            "errors": errors,
        },
    )
