"""What a shadow and a canary cost those who get live answers: `python -m benchmarks rollout`.

Version 2 of the model is a copy of version 1. Services differ in their settings only: none, a shadow of a share of the
requests, such a shadow at another service (on the same cores), a canary of half of the requests. The same open loop
runs on each in turn, so the ratios are of interleaved runs. Then all cores are kept busy, with and without the shadow;
and the other service is killed under load. Nothing may be lost in any of it.
"""

import shutil
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL
from statistics import median
from typing import Annotated

from typer import Option

from benchmarks import load_figures, report, workloads
from benchmarks import options as o
from benchmarks.load_figures import OK
from benchmarks.overload import closed_loop
from benchmarks.server import Service
from topfive_loadgen import tables, verdict
from topfive_loadgen.aside import Aside
from topfive_loadgen.open_loop import drive as drive_open
from topfive_loadgen.percentiles import percentile_of
from topfive_loadgen.plan import LAG_LIMIT_OF_COUNTS_SECONDS, Done, OpenLoad

OFF, SHADOW, ELSEWHERE, CANARY = "off", "shadow", "shadow elsewhere", "canary"
FLAGS = ("--precision", "fp32", "--no-log-requests")
POLICY = "\nversion_policy { latest { num_versions: 2 } }\n"
RATIO_MOST = 1.5
"""Target: p50 of live answers beside a shadow, divided by p50 without it, on idle enough cores."""
KEPT_LEAST = 0.9
"""Target: answers per second with the shadow, of those without it, while all cores are busy."""
COMPARED, DROPPED = "topfive_shadow_compared_total", "topfive_shadow_dropped_total"


@dataclass(frozen=True, slots=True)
class Window:
    """One run of the open loop on one service: its setting, its round, and what came."""

    setting: str
    turn: int
    done: Done

    def percentile(self, share: float) -> float:
        """A percentile of the latencies of what was answered, in milliseconds."""
        return percentile_of([each.latency * 1e3 for each in self.done.samples if each.status == OK], share)

    @property
    def failed(self) -> list[str]:
        """What was not answered with 200."""
        lost = [each for each in self.done.samples if each.status != OK]
        return [f"{self.setting}: status {each.status} {each.reason}" for each in lost]


def write_versions(repository: Path, source: Path) -> Path:
    """A copy of `source` whose classifiers are served in two versions, the second a copy of the first."""
    shutil.copytree(source, repository)
    for folder in repository.glob("*_classify"):
        shutil.copytree(folder / "1", folder / "2", dirs_exist_ok=True)
        with (folder / "config.pbtxt").open("a", encoding="utf-8") as text:
            text.write(POLICY)
    return repository


def ratios(windows: Sequence[Window], setting: str, share: float) -> list[float]:
    """The percentile of each round with `setting`, divided by that of the same round without any."""
    by_place = {(each.setting, each.turn): each.percentile(share) for each in windows}
    return [by_place[setting, turn] / by_place[OFF, turn] for name, turn in by_place if name == OFF]


def started(repository: Path, stack: ExitStack, *, share: float) -> dict[str, Service]:
    """The services, with a shadow of so many percent; the last is what the shadow elsewhere asks."""
    model = o.MODEL

    def start(*flags: str) -> Service:
        return stack.enter_context(closing(Service(repository, *FLAGS, *flags)))

    other = start("--shadow", f"{model}:2@0.0001%")  # version 1 is live here too
    return {
        OFF: start("--shadow", f"{model}:2@0.0001%"),
        SHADOW: start("--shadow", f"{model}:2@{share:g}%"),
        ELSEWHERE: start("--shadow", f"{model}={other.http_url}@{share:g}%"),
        CANARY: start("--canary", f"{model}:2@50%"),
        "other": other,
    }


def main(
    *,
    rate: o.Rate = 8.0,
    seconds: Annotated[float, Option(min=0.5, help="how long requests are sent in each window")] = 10.0,
    share: Annotated[float, Option(min=0.1, max=100, help="percent of the requests that the shadows get")] = 10.0,
    rounds: o.Rounds = 3,
    repository: o.Repository = o.REPOSITORY,
    images: o.Images = None,
    seed: o.Seed = 1,
    json: o.Json = None,
) -> int:
    """Measure live answers with a shadow, a shadow elsewhere and a canary, in turn with none; nothing may be lost."""
    requests = [*map(workloads.request, workloads.load(images)[workloads.JPEG])]
    with tempfile.TemporaryDirectory(prefix="topfive-rollout-") as folder, ExitStack() as stack:
        services = started(write_versions(Path(folder) / "models", repository), stack, share=share)
        aside = stack.enter_context(Aside())

        def window(setting: str, turn: int) -> Window:
            plan = OpenLoad(
                url=services[setting].http_url, requests=requests, rate=rate, seconds=seconds, seed=seed + turn
            )
            return Window(setting, turn, aside.run(drive_open, plan=plan))

        settings = (OFF, SHADOW, ELSEWHERE, CANARY)
        windows = [
            window(setting, turn)
            for turn in range(rounds)
            for setting in (settings if turn % 2 == 0 else settings[::-1])
        ]
        calm = _counts(services[SHADOW])
        answers: dict[str, list[float]] = {OFF: [], SHADOW: []}
        for turn in range(rounds):
            for setting in (OFF, SHADOW) if turn % 2 == 0 else (SHADOW, OFF):
                loop = aside.run(
                    closed_loop,
                    url=services[setting].http_url,
                    requests=requests,
                    warm_seconds=seconds / 5,
                    seconds=seconds / 2,
                )
                answers[setting].append(loop)
        busy = {name: count - calm[name] for name, count in _counts(services[SHADOW]).items()}
        elsewhere = _counts(services[ELSEWHERE])
        services["other"].signal(SIGKILL)
        windows.append(window(ELSEWHERE, rounds))
        dead = {name: count - elsewhere[name] for name, count in _counts(services[ELSEWHERE]).items()}
    kept = median(with_it / without for with_it, without in zip(answers[SHADOW], answers[OFF], strict=True))
    compared = windows[:-1]
    rows: list[tuple[str, ...]] = [("setting", "p50, ms", "p99, ms", "p50 / off", "p99 / off")]
    rows += [_row(compared, setting) for setting in settings]
    shown = [
        tables.markdown(tables.of(rows)),
        f"shadow on calm cores: {_said(calm)}; on busy ones: {_said(busy)}",
        f"shadow elsewhere: {_said(elsewhere)}; when that was killed: {_said(dead)}",
        f"busy: {median(answers[SHADOW]):.1f} answers/s with the shadow, {median(answers[OFF]):.1f} without",
    ]
    failed = [each for one in windows for each in one.failed]
    checks = [
        verdict.none_of("requests that were lost", failed),
        verdict.at_most("p50 beside a shadow / without", median(ratios(compared, SHADOW, 50)), RATIO_MOST),
        verdict.at_least("answers/s beside a shadow / without, all cores busy", kept, KEPT_LEAST),
        verdict.at_least("images compared on calm cores", calm[COMPARED], 1),
        verdict.at_least("images dropped when the other service was killed", dead[DROPPED], 1),
    ]
    faults = [each for one in windows for each in one.done.faults(lag_limit_seconds=LAG_LIMIT_OF_COUNTS_SECONDS)]
    document = {
        "calm": calm,
        "busy": busy,
        "dead": dead,
        "answers": answers,
        "figures": {
            setting: load_figures.summarise(
                [each for one in compared if one.setting == setting for each in one.done.samples],
                after=0,
                until=seconds,
            )
            for setting in settings
        },
    }
    return report.finish(checks, faults, shown=shown, json=json, document=document)


def _counts(service: Service) -> dict[str, float]:
    return {name: service.metric(name) for name in (COMPARED, DROPPED)}


def _said(counts: dict[str, float]) -> str:
    return f"{counts[COMPARED]:.0f} compared, {counts[DROPPED]:.0f} dropped"


def _row(windows: Sequence[Window], setting: str) -> tuple[str, ...]:
    own = [each for each in windows if each.setting == setting]
    figures = [f"{median(each.percentile(share) for each in own):.1f}" for share in (50, 99)]
    found = [f"{median(ratios(windows, setting, share)):.2f}" for share in (50, 99)]
    return (setting, *figures, *found)
