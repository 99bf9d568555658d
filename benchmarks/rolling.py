"""A rolling restart of two replicas behind nginx, under load: `python -m benchmarks rolling`.

It starts two replicas and the real nginx with `deploy/nginx.conf`, sends a steady load, and restarts one replica after
the other as an orchestrator does: SIGTERM, exit 0, start, ready. No request may fail.
"""

import math
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

from typer import Option

from benchmarks import answers, mix, nginx, report, workloads
from benchmarks import options as o
from benchmarks.mix import REFUSED, Ask, Judged
from benchmarks.server import Service, free_port
from topfive_loadgen import verdict
from topfive_loadgen.aside import Aside
from topfive_loadgen.open_loop import drive as drive_open
from topfive_loadgen.plan import LAG_LIMIT_OF_COUNTS_SECONDS, Done, OpenLoad
from topfive_loadgen.verdict import Check

REPLICAS = 2
PHOTO_COUNT = 8


class Replicas:
    """The replicas; each keeps its port over restarts."""

    def __init__(self, repository: Path, flags: Sequence[str]) -> None:
        self._repository = repository
        self._flags = flags
        self.running = [Service(repository, *flags) for _ in range(REPLICAS)]

    def restart(self, number: int) -> tuple[int, float, float]:
        """Stop a replica and start it again; return its exit code, and the seconds of the stop and of the start."""
        old = self.running[number]
        began = time.monotonic()
        code = old.close()
        ended = time.monotonic()
        self.running[number] = Service(self._repository, *self._flags, port=old.port)
        return code, ended - began, self.running[number].start_seconds

    def close(self) -> list[int]:
        """Stop all replicas; return their exit codes. A second signal makes them skip the drain grace."""
        for service in self.running:
            service.terminate()
        return [service.close() for service in self.running]


def judge(asks: Sequence[Ask], run: Done, *, exit_codes: Sequence[int]) -> tuple[list[Check], Judged]:
    """Check that every request was right, and that every replica exited with 0."""
    judged = mix.judge_all(asks, run.samples)
    refused = [f"{kind}: {count[REFUSED]}" for kind, count in judged.counts.items() if count.get(REFUSED)]
    return [
        verdict.none_of("requests without an answer", judged.lost),
        verdict.none_of("wrong answers", judged.wrong),
        verdict.none_of("kinds of requests refused", refused),
        verdict.none_of("replicas that did not exit with 0", [str(code) for code in exit_codes if code]),
    ], judged


def restart_under_load(
    replicas: Replicas, plan: OpenLoad, *, pause_seconds: float
) -> tuple[Done, list[tuple[int, float, float]]]:
    """Run the load, and restart each replica during it; return the load's result, and those of `Replicas.restart`."""
    restarts = []
    with Aside() as aside:
        aside.start(drive_open, plan=plan)
        for number in range(REPLICAS):
            time.sleep(pause_seconds)  # load in between is part of the run
            restarts.append(replicas.restart(number))
        time.sleep(pause_seconds)  # and after the last
        aside.stop()
        return aside.result(), restarts


def main(
    *,
    model_repository: o.Repository = o.REPOSITORY,
    model: o.Model = o.MODEL,
    images: o.Images = None,
    rate: Annotated[
        float, Option(min=0.001, metavar="N", help="requests per second; a single replica must bear them too")
    ] = 40.0,
    pause: Annotated[
        float, Option(metavar="SECONDS", help="seconds of load before, between and after the restarts")
    ] = 3.0,
    drain_grace: Annotated[
        float, Option(metavar="SECONDS", help="the replicas' drain grace; longer than nginx' fail_timeout")
    ] = 3.0,
    seed: o.Seed = 1,
    service_flag: o.Flags = o.NONE_GIVEN,
    json: o.Json = None,
) -> int:
    """A rolling restart of two replicas behind nginx, under load: no request may fail."""
    if not nginx.is_there():
        raise SystemExit("there is no nginx; on Debian and Ubuntu: apt-get install nginx-light")
    payloads = workloads.load(images)
    sent = [image for scenario in workloads.SCENARIOS for image in payloads[scenario][:PHOTO_COUNT]]
    flags = ["--drain-grace-seconds", str(drain_grace), *service_flag]
    with tempfile.TemporaryDirectory(prefix="topfive-nginx-") as folder, ExitStack() as stack:
        replicas = Replicas(model_repository.resolve(), flags)
        stack.callback(replicas.close)
        addresses = [replica.address for replica in replicas.running]
        port = free_port()
        site = nginx.with_ports(nginx.DEPLOYED.read_text(), replicas=addresses, port=port)
        proxy = nginx.Nginx(Path(folder), site=site, port=port)
        stack.callback(proxy.close)
        asks, missing = mix.with_right_answers(proxy.address, mix.good_asks(model, sent))
        plan = OpenLoad(
            url=f"http://127.0.0.1:{port}",
            requests=[one.message for one in asks],
            rate=rate,
            seconds=math.inf,  # stopped after the last restart
            seed=seed,
            read=answers.told,
        )
        run, restarts = restart_under_load(replicas, plan, pause_seconds=pause)
        codes = [code for code, *_ in restarts] + replicas.close()
        proxy.close()
        requests, errors = proxy.requests(), proxy.errors()
    checks, judged = judge(asks, run, exit_codes=codes)
    by_replica = dict(Counter(one["upstream"].split(", ")[-1] for one in requests))
    shown = [
        f"{len(run.samples)} requests in {run.elapsed:.1f} s, answered by {by_replica}",
        f"{nginx.retried(requests)} tried again by nginx; its errors: {len(errors.splitlines())}",
        *(
            f"replica {number + 1}: ended with {code} after {ended:.1f} s, ready again {started:.1f} s later"
            for number, (code, ended, started) in enumerate(restarts)
        ),
        *(f"left out, for there is no such route: {kind}" for kind in missing),
    ]
    return report.finish(
        checks,
        run.faults(lag_limit_seconds=LAG_LIMIT_OF_COUNTS_SECONDS),
        shown=["\n".join(shown), mix.markdown(judged)],
        json=json,
        document={
            "counts": judged.counts,
            "by_replica": by_replica,
            "retried": nginx.retried(requests),
            "restarts": restarts,
            "nginx_errors": errors,
        },
    )
