"""A rolling restart of two replicas behind nginx, under load: `python -m benchmarks.rolling`.

Starts two replicas and the real nginx with `deploy/nginx.conf`, sends a steady load through it, and restarts one
replica after the other as an orchestrator would: SIGTERM, exit 0, start, ready. No request may fail.
"""

import argparse
import json
import math
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from benchmarks import answers, mix, nginx, verdict, workloads
from benchmarks.mix import REFUSED, Ask, Judged
from benchmarks.overhead import PHOTOS
from benchmarks.server import ROOT, Service, free_port
from benchmarks.verdict import Check
from loadgen.aside import Aside
from loadgen.open_loop import drive as drive_open
from loadgen.plan import LAG_LIMIT_OF_COUNTS_SECONDS, Done, Plan

REPLICAS = 2
PHOTO_COUNT = 8


class Replicas:
    """The replicas, each on a port of its own that it keeps over its restarts."""

    def __init__(self, repository: Path, flags: Sequence[str]) -> None:
        self._repository = repository
        self._flags = flags
        self.running = [Service(repository, *flags) for _ in range(REPLICAS)]

    def restart(self, number: int) -> tuple[int, float, float]:
        """End one and start it again; its exit code, and the seconds that either took."""
        old = self.running[number]
        began = time.monotonic()
        code = old.close()
        ended = time.monotonic()
        self.running[number] = Service(self._repository, *self._flags, port=old.port)
        return code, ended - began, self.running[number].start_seconds

    def close(self) -> list[int]:
        """End all; their exit codes. Nobody uses them any more: being asked twice, they leave out the grace."""
        for service in self.running:
            service.terminate()
        return [service.close() for service in self.running]


def judge(asks: Sequence[Ask], run: Done, *, exit_codes: Sequence[int]) -> tuple[list[Check], Judged]:
    """Every request right, every replica ended as it should."""
    judged = mix.judge_all(asks, run.samples)
    refused = [f"{kind}: {count[REFUSED]}" for kind, count in judged.counts.items() if count.get(REFUSED)]
    return [
        verdict.none_of("requests without an answer", judged.lost),
        verdict.none_of("wrong answers", judged.wrong),
        verdict.none_of("kinds of requests refused", refused),
        verdict.none_of("replicas that did not exit with 0", [str(code) for code in exit_codes if code]),
    ], judged


def restart_under_load(
    replicas: Replicas, plan: Plan, *, pause_seconds: float
) -> tuple[Done, list[tuple[int, float, float]]]:
    """The load, and each replica restarted in the middle of it; what `Replicas.restart` says of each."""
    restarts = []
    with Aside() as aside:
        aside.start(drive_open, plan=plan)
        for number in range(REPLICAS):
            time.sleep(pause_seconds)  # load in between is part of the run
            restarts.append(replicas.restart(number))
        time.sleep(pause_seconds)  # and after the last
        aside.stop()
        return aside.result(), restarts


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 1 if a request failed."""
    options = _parser().parse_args(arguments)
    if not nginx.is_there():
        raise SystemExit("there is no nginx; on Debian and Ubuntu: apt-get install nginx-light")
    payloads = workloads.load(options.images or (PHOTOS if PHOTOS.is_dir() else None))
    images = [image for scenario in workloads.SCENARIOS for image in payloads[scenario][:PHOTO_COUNT]]
    flags = ["--drain-grace-seconds", str(options.drain_grace), *options.service_flag]
    with tempfile.TemporaryDirectory(prefix="topfive-nginx-") as folder, ExitStack() as stack:
        replicas = Replicas(options.model_repository.resolve(), flags)
        stack.callback(replicas.close)
        addresses = [replica.address for replica in replicas.running]
        port = free_port()
        site = nginx.with_ports(nginx.DEPLOYED.read_text(), replicas=addresses, port=port)
        proxy = nginx.Nginx(Path(folder), site=site, port=port)
        stack.callback(proxy.close)
        asks, missing = mix.with_right_answers(proxy.address, mix.good_asks(options.model, images))
        plan = Plan(
            url=f"http://127.0.0.1:{proxy.address[1]}",
            requests=[one.message for one in asks],
            rate=options.rate,
            seconds=math.inf,  # stopped after the last restart
            seed=options.seed,
            read=answers.told,
        )
        run, restarts = restart_under_load(replicas, plan, pause_seconds=options.pause)
        codes = [code for code, *_ in restarts] + replicas.close()
        proxy.close()
        requests, errors = proxy.requests(), proxy.errors()
    checks, judged = judge(asks, run, exit_codes=codes)
    faults = run.faults(lag_limit_seconds=LAG_LIMIT_OF_COUNTS_SECONDS)
    by_replica = dict(Counter(one["upstream"].split(", ")[-1] for one in requests))
    print(f"{len(run.samples)} requests in {run.elapsed:.1f} s, answered by {by_replica}")
    print(f"{nginx.retried(requests)} tried again by nginx; its errors: {len(errors.splitlines())}")
    for number, (code, ended, started) in enumerate(restarts):
        print(f"replica {number + 1}: ended with {code} after {ended:.1f} s, ready again {started:.1f} s later")
    for kind in missing:
        print(f"left out, for there is no such route: {kind}")
    print(mix.markdown(judged), verdict.markdown(checks), verdict.conclude(checks, faults), sep="\n\n")
    if options.json:
        document = {"counts": judged.counts, "by_replica": by_replica, "retried": nginx.retried(requests)}
        document |= {"restarts": restarts, "checks": checks, "faults": faults, "nginx_errors": errors}
        options.json.write_text(json.dumps(document, default=asdict, indent=1) + "\n")
    return verdict.exit_code(checks, faults)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks.rolling", description=__doc__.partition(":")[0])
    add = parser.add_argument
    add("--model-repository", type=Path, default=ROOT / "model_repository", metavar="DIR")
    add("--model", default="efficientnet_lite0")
    add("--images", type=Path, metavar="DIR", help="JPEG photos to send (default: photos of installed packages)")
    add("--rate", type=float, default=40.0, metavar="N", help="requests per second; one replica must bear them alone")
    add("--pause", type=float, default=3.0, metavar="SECONDS", help="load before, between and after the restarts")
    add("--drain-grace", type=float, default=3.0, metavar="SECONDS", help="above nginx' fail_timeout")
    add("--seed", type=int, default=1)
    add("--service-flag", action="append", default=[], metavar="FLAG", help="passed on: --service-flag=--workers=2")
    add("--json", type=Path, metavar="FILE", help="write the counts, the restarts and the checks")
    return parser


if __name__ == "__main__":
    sys.exit(main())
