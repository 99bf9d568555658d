"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

from typer import Option

from benchmarks.server import ROOT, Endpoint, Service
from topfive_loadgen.cli import positive, several

REPOSITORY = ROOT / "model_repository"
MODEL = "efficientnet_lite0"
PHOTOS = ROOT.parent / "shared" / "images"


def _or_shared(given: Path | None) -> Path | None:
    return given or (PHOTOS if PHOTOS.is_dir() else None)


Images: TypeAlias = Annotated[
    Path | None,
    Option(
        callback=_or_shared,
        metavar="DIR",
        help=f"JPEG photos to send (default: {PHOTOS.name} beside this repository, or photos of installed packages)",
    ),
]
Scenario: TypeAlias = Annotated[Literal["raw224", "mixed", "jpeg"], Option(help="what is sent")]
Repository: TypeAlias = Annotated[Path, Option("--model-repository", metavar="DIR", help="the models to serve")]
Model: TypeAlias = Annotated[str, Option(help="the ensemble to ask; its graphs are MODEL_resize and MODEL_classify")]
Flags: TypeAlias = Annotated[
    list[str],
    Option(
        "--service-flag", metavar="FLAG", help="an option for the service: --service-flag=--workers=2; may be repeated"
    ),
]
NONE_GIVEN: Final[list[str]] = []
"""The default of an option that may be repeated; typer only reads it."""
Url: TypeAlias = Annotated[str | None, Option(help="a running service, http://host:port (default: one is started)")]
Seed: TypeAlias = Annotated[int, Option(help="seed of all random choices")]
Rounds: TypeAlias = Annotated[
    int, Option(min=1, metavar="N", help="how often all phases are repeated, because machines are noisy")
]
Tiny: TypeAlias = Annotated[bool, Option("--tiny", help="use only tiny models, not the real ones")]
Json: TypeAlias = Annotated[
    Path | None, Option(metavar="FILE", help="write all figures and checks to this file, as JSON")
]
Quick: TypeAlias = Annotated[
    bool, Option("--quick", help="one round of short windows: a trial, with imprecise figures")
]
Connections: TypeAlias = Annotated[int, Option(min=1, metavar="N", help="the most connections at once")]
ConnectionCounts: TypeAlias = Annotated[
    Sequence[int], Option(parser=several(positive), metavar="N,N", help="numbers of connections, measured in turn")
]
PhaseSeconds: TypeAlias = Annotated[
    float, Option(min=0.01, help="counted seconds of each phase; a fifth of it comes before as a warm-up")
]
Rate: TypeAlias = Annotated[float, Option(min=0.001, metavar="N", help="requests per second")]


def served(url: str | None, repository: Path, flags: list[str], stack: ExitStack) -> Endpoint:
    """The service at `url`; without a URL, a new one that ends with `stack`."""
    if url:
        return Endpoint.at(url)
    return stack.enter_context(closing(Service(repository.resolve(), *flags)))
