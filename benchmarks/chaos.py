"""Everything that clients can do to a service, at once: `make chaos`.

Starts a service, lets a mob of clients that do not behave loose on it (`nasty` and its like), stops its process for
moments, and has a few well-behaved clients and a health prober beside them. What must hold is in `chaos_verdict`.
"""

import argparse
import json
import math
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

from benchmarks import (
    answers,
    chaos_verdict,
    mix,
    nasty,
    nasty_framing,
    nasty_grpc,
    nasty_images,
    nasty_messages,
    prober,
    repositories,
    samples,
    verdict,
    workloads,
)
from benchmarks.mix import Ask
from benchmarks.mob import Mob
from benchmarks.nasty import Victim
from benchmarks.overhead import PHOTOS
from benchmarks.prober import Probe
from benchmarks.samples import Held
from benchmarks.server import ROOT, Service
from benchmarks.verdict import Check
from loadgen.aside import Aside
from loadgen.asking import ask
from loadgen.open_loop import drive as drive_open
from loadgen.plan import Done, Plan

KINDS = {
    **nasty.KINDS,
    **nasty_messages.KINDS,
    **nasty_framing.KINDS,
    **nasty_images.KINDS,
    **nasty_grpc.KINDS,
}
POISON_DELAY_MICROSECONDS = 2000
PROBE_SECONDS = 0.05
REST_SECONDS = 0.02  # of each client of the mob between two deeds: it is to be nasty, not a load at the limit
PAUSE_SECONDS = (0.1, 0.5)  # for how long the process is stopped
BETWEEN_PAUSES_SECONDS = (1.0, 4.0)
KEEP_ALIVE_SECONDS = 3  # above what well-behaved clients keep a connection for
NOTICE_SECONDS = 0.5  # by when it has noticed that the one client so far has left
SETTLE_SECONDS = 20.0  # by when the service has noticed that everybody has left
PHOTO_COUNT = 6
SIDES = ((2, 2), (7, 5), (64, 48), (1, 300))


@dataclass(frozen=True, slots=True)
class Spell:
    """What came of a stretch of chaos."""

    outcomes: Mapping[str, Counter[str]]
    run: Done
    probes: Sequence[Probe]
    pauses: Sequence[tuple[float, float]]
    held: Held


class Chaos:
    """Chaos against one service."""

    def __init__(self, service: Service, victim: Victim, asks: Sequence[Ask], *, rate: float, mob: int) -> None:
        self._service = service
        self._victim = victim
        self._asks = asks
        self._rate = rate
        self._mob = mob

    def spell(self, *, seconds: float, seed: int, idle: Held) -> Spell:
        """So much of it, every kind at least once; and what the service holds when everybody has left."""
        plan = Plan(
            url=self._service.http_url,
            requests=[one.message for one in self._asks],
            rate=self._rate,
            seconds=math.inf,  # stopped after the mob
            seed=seed,
            read=answers.told,
        )
        with Aside() as behaved, Aside() as probing:
            behaved.start(drive_open, plan=plan)
            probing.start(prober.run, address=self._service.address, every_seconds=PROBE_SECONDS)
            with Mob(self._victim, KINDS, size=self._mob, seed=seed, pause_seconds=REST_SECONDS) as mob:
                pauses = self._pause_now_and_then(Random(seed), seconds=seconds)
            behaved.stop()
            probing.stop()
            run, probes = behaved.result(), probing.result()
        held = samples.settle(self._service, open_files=idle.open_files, within_seconds=SETTLE_SECONDS)
        return Spell(mob.outcomes, run, probes, pauses, held)

    def _pause_now_and_then(self, chance: Random, *, seconds: float) -> list[tuple[float, float]]:
        """Stop the process for a moment now and then, for so long in all; when it was stopped and resumed."""
        pauses = []
        end = time.monotonic() + seconds
        while (wait := chance.uniform(*BETWEEN_PAUSES_SECONDS)) < end - time.monotonic():
            time.sleep(wait)  # the mob is at work meanwhile
            stopped = time.monotonic()
            self._service.signal(signal.SIGSTOP)
            time.sleep(chance.uniform(*PAUSE_SECONDS))  # how long it is stopped is what is tried
            self._service.signal(signal.SIGCONT)
            pauses.append((stopped, time.monotonic()))
        time.sleep(max(0.0, end - time.monotonic()))  # as above
        return pauses


def write_repository(folder: Path, real: Path | None) -> None:
    """A model that fails on nothing, one that fails on some images, and the real ones, if they are wanted."""
    repositories.write_sturdy(folder)
    repositories.write_poisonous(folder, delay_microseconds=POISON_DELAY_MICROSECONDS)
    if real is not None:
        repositories.link_models(folder, real)


def asks_of(chance: Random, photos: Path | None, *, real_model: str | None) -> list[Ask]:
    """What the well-behaved ask: images of many sizes, images beside the poison, and photos."""
    sizes = [repositories.image(chance.randrange(256), height=height, width=width) for height, width in SIDES]
    beside = [workloads.request(repositories.image(value), model=repositories.POISONOUS) for value in (3, 77, 200)]
    asks = [*mix.good_asks(repositories.STURDY, sizes), *(Ask("beside poison", message) for message in beside)]
    if real_model is not None:
        payloads = workloads.load(photos)
        images = [image for scenario in workloads.SCENARIOS for image in payloads[scenario][:PHOTO_COUNT]]
        asks += mix.good_asks(real_model, images)
    return asks


def run(service: Service, options: argparse.Namespace) -> tuple[list[Check], dict[str, Any]]:
    """A spell to warm up, the spell that counts, and the checks, but for the exit code; and what is to be shown."""
    photos = options.images or (PHOTOS if PHOTOS.is_dir() else None)
    real_model = None if options.tiny else options.model
    asks, missing = mix.with_right_answers(
        service.address, asks_of(Random(options.seed), photos, real_model=real_model)
    )
    victim = Victim(
        address=service.address,
        messages={one.kind: one.message for one in asks},
        model=repositories.STURDY,
        head_seconds=options.patience,
        body_seconds=options.patience,
        send_seconds=options.patience,
        grpc_address=service.grpc_address,
    )
    for make in (nasty_messages.bomb, nasty_framing.parts, *(make for make, _ in nasty_images.FILES.values())):
        make()  # now, for it takes longer than anything that is done with it
    nasty_grpc.good(victim, Random(options.seed))  # so that what gRPC starts for its first call is there from now on
    first = ask(service.address, asks[0].message)
    chaos = Chaos(service, victim, asks, rate=options.rate, mob=options.mob)
    idle = samples.settle(service, open_files=0, within_seconds=NOTICE_SECONDS)
    warm = chaos.spell(seconds=options.warm_up, seed=options.seed, idle=idle).held if options.warm_up else idle
    spell = chaos.spell(seconds=options.seconds, seed=options.seed + 1, idle=idle)
    last = ask(service.address, asks[0].message)
    alone = mix.ask_all(service.address, asks)
    judged = mix.judge_all(asks, spell.run.samples)
    health = chaos_verdict.health(spell.probes, spell.pauses)
    checks = [
        chaos_verdict.answers_check(spell.outcomes),
        *chaos_verdict.behaved_checks(judged),
        *chaos_verdict.health_checks(health),
        *chaos_verdict.held_checks(warm, spell.held, idle=idle, slack_mb=options.memory_slack),
        verdict.none_of("last answers unlike the first", [str(last)] if last != first else []),
        verdict.none_of("wrong answers after the end", mix.judge_all(asks, alone).wrong),
    ]
    return checks, {
        "outcomes": spell.outcomes,
        "behaved": judged,
        "health": health.line(),
        "pauses": len(spell.pauses),
        "held": {"idle": idle, "after warm-up": warm, "at the end": spell.held},
        "missing": missing,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 1, with reasons, if something gave way."""
    options = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="topfive-chaos-") as folder:
        write_repository(Path(folder), None if options.tiny else options.model_repository.resolve())
        limits = [f"--{name}-seconds={options.patience}" for name in ("head", "body", "send", "max-decode")]
        limits += [f"--keep-alive-seconds={KEEP_ALIVE_SECONDS}", "--model-control=explicit", "--grpc-port=0"]
        with closing(Service(Path(folder), *limits, *options.service_flag)) as service:
            try:
                checks, shown = run(service, options)
            except OSError as error:
                raise SystemExit(f"{error}\nthe end of the service's log:\n{service.log()}") from error
            checks.append(verdict.equal("exit code after SIGTERM", service.close(), 0))
            checks.append(chaos_verdict.log_check(service.whole_log()))
    print(report_of(shown), verdict.markdown(checks), verdict.conclude(checks), sep="\n\n")
    if options.json:
        document = {**shown, "checks": checks, "seconds": options.seconds, "seed": options.seed}
        options.json.write_text(json.dumps(document, default=asdict, indent=1) + "\n")
    return verdict.exit_code(checks)


def report_of(shown: Mapping[str, Any]) -> str:
    """The tables of a run, and its health and memory in a line each."""
    held = [
        f"{when} {sample.resident_bytes / 1e6:.1f} MB, {sample.open_files} open files, {sample.threads} threads"
        for when, sample in shown["held"].items()
    ]
    return "\n\n".join(
        [
            chaos_verdict.markdown(shown["outcomes"]),
            "Beside them, well-behaved:\n\n" + mix.markdown(shown["behaved"]),
            *(f"Left out, for there is no such route: {kind}" for kind in shown["missing"]),
            f"Health: {shown['health']}; not counted: while the process was stopped, {shown['pauses']} times",
            "Held: " + "; ".join(held),
        ]
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks.chaos", description=__doc__.partition(":")[0])
    add = parser.add_argument
    add("--seconds", type=float, default=60.0, help="how long, after the warm-up")
    add("--warm-up", type=float, default=25.0, metavar="SECONDS", help="chaos before memory is first looked at")
    add("--seed", type=int, default=1)
    add("--mob", type=int, default=12, metavar="N", help="clients that do not behave, at once")
    add("--rate", type=float, default=20.0, metavar="N", help="requests per second of those that do")
    add("--patience", type=int, default=3, metavar="SECONDS", help="the service's limits for heads, bodies and readers")
    add("--memory-slack", type=float, default=chaos_verdict.MEMORY_SLACK_MB, metavar="MB", help="see chaos_verdict")
    add("--tiny", action="store_true", help="without the real models")
    add("--model-repository", type=Path, default=ROOT / "model_repository", metavar="DIR")
    add("--model", default="efficientnet_lite0")
    add("--images", type=Path, metavar="DIR", help="JPEG photos to send (default: photos of installed packages)")
    add("--service-flag", action="append", default=[], metavar="FLAG", help="passed on: --service-flag=--workers=2")
    add("--json", type=Path, metavar="FILE", help="write the counts and the checks")
    return parser


if __name__ == "__main__":
    sys.exit(main())
