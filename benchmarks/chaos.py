"""Chaos: all kinds of misbehaving clients at once on one service: `make chaos`.

It starts a service, runs a mob of misbehaving clients (`nasty…`), and stops the service's process for moments. Beside
them run a few well-behaved clients and a health prober. `chaos_verdict` checks the results.
"""

import math
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Annotated, Any

from typer import Option

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
    report,
    repositories,
    samples,
    workloads,
)
from benchmarks import options as o
from benchmarks.mix import Ask
from benchmarks.mob import Mob
from benchmarks.nasty import Victim
from benchmarks.prober import Probe
from benchmarks.samples import Held
from benchmarks.server import Service
from topfive_loadgen import verdict
from topfive_loadgen.aside import Aside
from topfive_loadgen.asking import ask
from topfive_loadgen.open_loop import drive as drive_open
from topfive_loadgen.plan import Done, OpenLoad
from topfive_loadgen.verdict import Check

KINDS = {**nasty.KINDS, **nasty_messages.KINDS, **nasty_framing.KINDS, **nasty_images.KINDS, **nasty_grpc.KINDS}
POISON_DELAY_MICROSECONDS = 2000
PROBE_SECONDS = 0.05
REST_SECONDS = 0.02  # pause of each client of the mob between two deeds: it should misbehave, not overload the service
PAUSE_SECONDS = (0.1, 0.5)  # least and most time that the process is stopped
BETWEEN_PAUSES_SECONDS = (1.0, 4.0)
KEEP_ALIVE_SECONDS = 3  # longer than well-behaved clients keep a connection
NOTICE_SECONDS = 0.5  # time for the service to notice that its first client has left
SETTLE_SECONDS = 20.0  # time for the service to notice that all clients have left
PHOTO_COUNT = 6
SIDES = ((2, 2), (7, 5), (64, 48), (1, 300))


@dataclass(frozen=True, slots=True)
class Spell:
    """The results of a spell of chaos."""

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
        """Run chaos for `seconds`, with every kind at least once; then see what the service holds without clients."""
        plan = OpenLoad(
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
        """Stop the process for moments, during `seconds`; return when it was stopped and resumed."""
        pauses = []
        end = time.monotonic() + seconds
        while (wait := chance.uniform(*BETWEEN_PAUSES_SECONDS)) < end - time.monotonic():
            time.sleep(wait)  # the mob is at work meanwhile
            stopped = time.monotonic()
            self._service.signal(signal.SIGSTOP)
            time.sleep(chance.uniform(*PAUSE_SECONDS))  # the process is stopped meanwhile
            self._service.signal(signal.SIGCONT)
            pauses.append((stopped, time.monotonic()))
        time.sleep(max(0.0, end - time.monotonic()))  # as above
        return pauses


def write_repository(folder: Path, real: Path | None) -> None:
    """Write a model that never fails, one that fails on some images, and link the `real` models if given."""
    repositories.write_sturdy(folder)
    repositories.write_poisonous(folder, delay_microseconds=POISON_DELAY_MICROSECONDS)
    if real is not None:
        repositories.link_models(folder, real)


def asks_of(chance: Random, photos: Path | None, *, real_model: str | None) -> list[Ask]:
    """The requests of well-behaved clients: images of many sizes, images for the poisonous model, and photos."""
    sizes = [repositories.image(chance.randrange(256), height=height, width=width) for height, width in SIDES]
    beside = [workloads.request(repositories.image(value), model=repositories.POISONOUS) for value in (3, 77, 200)]
    asks = [*mix.good_asks(repositories.STURDY, sizes), *(Ask("beside poison", message) for message in beside)]
    if real_model is not None:
        payloads = workloads.load(photos)
        images = [image for scenario in workloads.SCENARIOS for image in payloads[scenario][:PHOTO_COUNT]]
        asks += mix.good_asks(real_model, images)
    return asks


def run(
    service: Service,
    asks: Sequence[Ask],
    victim: Victim,
    *,
    chaos: Chaos,
    seconds: float,
    warm_up: float,
    seed: int,
    memory_slack_mb: float,
) -> tuple[list[Check], dict[str, Any]]:
    """Run a warm-up spell and the spell that counts; return all checks except the exit code, and the report."""
    for make in (nasty_messages.bomb, nasty_framing.parts, *(make for make, _ in nasty_images.FILES.values())):
        make()  # made beforehand, because it takes long
    nasty_grpc.good(victim, Random(seed))  # the first call starts gRPC's threads, before anything is counted
    first = ask(service.address, asks[0].message)
    idle = samples.settle(service, open_files=0, within_seconds=NOTICE_SECONDS)
    warm = chaos.spell(seconds=warm_up, seed=seed, idle=idle).held if warm_up else idle
    spell = chaos.spell(seconds=seconds, seed=seed + 1, idle=idle)
    last = ask(service.address, asks[0].message)
    alone = mix.ask_all(service.address, asks)
    judged = mix.judge_all(asks, spell.run.samples)
    health = chaos_verdict.health(spell.probes, spell.pauses)
    checks = [
        chaos_verdict.answers_check(spell.outcomes),
        *chaos_verdict.behaved_checks(judged),
        *chaos_verdict.health_checks(health),
        *chaos_verdict.held_checks(warm, spell.held, idle=idle, slack_mb=memory_slack_mb),
        verdict.none_of("last answers unlike the first", [str(last)] if last != first else []),
        verdict.none_of("wrong answers after the end", mix.judge_all(asks, alone).wrong),
    ]
    return checks, {
        "outcomes": spell.outcomes,
        "behaved": judged,
        "health": health.line(),
        "pauses": len(spell.pauses),
        "held": {"idle": idle, "after warm-up": warm, "at the end": spell.held},
    }


def main(
    *,
    seconds: Annotated[float, Option(help="how long chaos lasts after the warm-up")] = 60.0,
    warm_up: Annotated[float, Option(metavar="SECONDS", help="chaos before memory is first measured")] = 25.0,
    seed: o.Seed = 1,
    mob: Annotated[int, Option(metavar="N", help="how many misbehaving clients at once")] = 12,
    rate: Annotated[float, Option(min=0.001, metavar="N", help="requests per second of well-behaved clients")] = 20.0,
    patience: Annotated[int, Option(metavar="SECONDS", help="the service's limits for heads, bodies and readers")] = 3,
    memory_slack: Annotated[
        float, Option(metavar="MB", help="growth of memory that is allowed")
    ] = chaos_verdict.MEMORY_SLACK_MB,
    tiny: o.Tiny = False,
    model_repository: o.Repository = o.REPOSITORY,
    model: o.Model = o.MODEL,
    images: o.Images = None,
    service_flag: o.Flags = o.NONE_GIVEN,
    json: o.Json = None,
) -> int:
    """All kinds of misbehaving clients at once: are other clients, health probes and memory unaffected?"""
    with tempfile.TemporaryDirectory(prefix="topfive-chaos-") as folder:
        write_repository(Path(folder), None if tiny else model_repository.resolve())
        limits = [f"--{name}-seconds={patience}" for name in ("head", "body", "send", "max-decode")]
        limits += [f"--keep-alive-seconds={KEEP_ALIVE_SECONDS}", "--model-control=explicit", "--grpc-port=0"]
        with closing(Service(Path(folder), *limits, *service_flag)) as service:
            try:
                asked = asks_of(Random(seed), images, real_model=None if tiny else model)
                asks, missing = mix.with_right_answers(service.address, asked)
                victim = victim_of(service, asks, patience=patience)
                checks, shown = run(
                    service,
                    asks,
                    victim,
                    chaos=Chaos(service, victim, asks, rate=rate, mob=mob),
                    seconds=seconds,
                    warm_up=warm_up,
                    seed=seed,
                    memory_slack_mb=memory_slack,
                )
            except OSError as error:
                raise SystemExit(f"{error}\nthe end of the service's log:\n{service.log()}") from error
            exit_code = service.close()
            checks.append(verdict.none_of("exit code after SIGTERM", [str(exit_code)] if exit_code else []))
            checks.append(chaos_verdict.log_check(service.whole_log()))
    document = {**shown, "missing": missing, "seconds": seconds, "seed": seed}
    return report.finish(checks, shown=report_of(document), json=json, document=document)


def victim_of(service: Service, asks: Sequence[Ask], *, patience: float) -> Victim:
    """The service as the mob sees it, with its time limits."""
    return Victim(
        address=service.address,
        messages={one.kind: one.message for one in asks},
        model=repositories.STURDY,
        head_seconds=patience,
        body_seconds=patience,
        send_seconds=patience,
        grpc_address=service.grpc_address,
    )


def report_of(shown: Mapping[str, Any]) -> list[str]:
    """The tables of a run, and a line each for health and memory."""
    return [
        chaos_verdict.markdown(shown["outcomes"]),
        "Beside them, well-behaved:\n\n" + mix.markdown(shown["behaved"]),
        *(f"Left out, for there is no such route: {kind}" for kind in shown["missing"]),
        f"Health: {shown['health']}; not counted: while the process was stopped, {shown['pauses']} times",
        "Held: " + "; ".join(f"{when} {held}" for when, held in shown["held"].items()),
    ]
