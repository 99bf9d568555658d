"""`topfive baseline`: what a model's images and answers are usually like, for the alert on drift."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

from rich.markup import escape
from typer import Argument, Option

from topfive.ground.drift import CONFIDENCE, FORMATS, LABELS, MEGAPIXELS, OTHER, Baseline
from topfive_pipeline.commands.running import run
from topfive_pipeline.commands.screen import Screen
from topfive_pipeline.gating.baseline import Origin, from_answers, from_metrics, write
from topfive_pipeline.gating.traffic import Service
from topfive_pipeline.proof.photos import read_photos

_UNITS: Final = {CONFIDENCE: "at most", MEGAPIXELS: "megapixels, at most", LABELS: "label", FORMATS: "format"}


def make_baseline(
    name: Annotated[str, Argument(help="The model's name.", metavar="NAME", show_default=False)],
    url: Annotated[str, Option(help="The running service that answers.")] = "http://127.0.0.1:8000",
    photos: Annotated[
        Path | None,
        Option(
            help="A folder of pictures to send to it. Without it, all that the service has answered since it started "
            "counts.",
        ),
    ] = None,
    repository: Annotated[Path, Option(help="The model repository that it is written into.")] = Path("my_models"),
    api_key: Annotated[
        str,
        Option(
            help="The key that the service asks for; in the environment's BASELINE_API_KEY nobody sees it.",
            envvar="BASELINE_API_KEY",
            show_envvar=False,
        ),
    ] = "",
) -> int:
    """Write NAME/baseline.json: how images and answers are distributed in a running service's traffic, or in photos.

    The service counts the same of every image that it answers, and Prometheus compares the two: the alert TopfiveDrift.

    Exit code: 0 written, 2 the service or the photos cannot be used.
    """
    screen = Screen()
    baseline = _made(name, Service(url, api_key), photos, screen)
    path = write(baseline, repository / name)
    for signal, unit in _UNITS.items():
        counts = {bucket: count for bucket, count in baseline.counts[signal].items() if count or bucket == OTHER}
        total = baseline.images(signal)
        rows = [[bucket, str(count), f"{count / total:.1%}"] for bucket, count in counts.items()]
        screen.table(signal, [unit, "images", "share"], rows)
    screen.say(f"written: {escape(str(path))} ({baseline.images(CONFIDENCE)} images: {escape(baseline.source)})")
    return 0


def main(arguments: Sequence[str]) -> int:
    """Run `topfive baseline` with `arguments`; return its exit code."""
    return run(make_baseline, "baseline", arguments)


def _made(name: str, service: Service, photos: Path | None, screen: Screen) -> Baseline:
    version = service.version(name)
    if photos is None:
        return from_metrics(
            service.metrics(), model=name, origin=Origin(source=f"what {service.url} answered", version=version)
        )
    found = read_photos(photos)
    with screen.counting("photos") as progress:
        answers = service.answers(name, found, lambda done: progress(done, len(found)))
    origin = Origin(source=f"photos of {photos.name}, asked at {service.url}", version=version)
    return from_answers(found, answers, origin)
