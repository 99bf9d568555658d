"""`topfive check`: what an import proves, of any repository, and whether another preprocessing would be better."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from rich.markup import escape
from typer import Argument, Option

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.checker import Checked, check
from topfive_pipeline.commands.recording import NoLog, finish, of_checks
from topfive_pipeline.commands.running import FAILED, run
from topfive_pipeline.commands.screen import Screen, print_json
from topfive_pipeline.entry.labels import read_labels, served_labels
from topfive_pipeline.entry.names import LABELS
from topfive_pipeline.experiments.log import Log
from topfive_pipeline.proof import on_triton
from topfive_pipeline.proof.photos import read_photos, shipped


def check_repository(
    repository: Annotated[Path, Argument(help="The model repository.", metavar="REPOSITORY", show_default=False)],
    photos: Annotated[
        Path | None,
        Option(help="A folder of pictures; with their classes (labels.csv), other preprocessings are compared too."),
    ] = None,
    labels: Annotated[
        Path | None, Option(help="The class names for --photos, if the models have several labels.txt.")
    ] = None,
    tritonserver: Annotated[
        Path | None,
        Option(metavar="PATH", help="Load it by this Triton too.", show_default="the one of the PATH, if any"),
    ] = None,
    as_json: Annotated[bool, Option("--json", help="One JSON document instead of tables.")] = False,
    no_log: NoLog = False,
) -> int:
    """Check every model of a repository: shapes on images of all sizes, pixels, labels, batches, and the server's load.

    With at least 50 photos whose class is known, it also says the accuracy, and warns if another customary
    preprocessing is clearly better: a wrong one looks as sure of itself as the right one.

    Exit code: 0 all hold (perhaps with warnings), 1 one does not, 2 the repository cannot be read.
    """
    if not repository.is_dir():
        raise ConfigurationError(f"{repository}: there is no such folder; name a model repository")
    screen = Screen(quiet=as_json)
    names = _names_in(repository) if labels is None else read_labels(labels)
    pictures = shipped() if photos is None else read_photos(photos, labels=names)
    with screen.working() as progress:
        checked = check(repository, pictures, progress=progress, tritonserver=on_triton.find(tritonserver))
    failed = any(each.proof.failure is not None for each in checked)
    if as_json:
        print_json([{"name": each.name, **each.proof.as_json(), "warnings": each.warnings} for each in checked])
    for each in checked:
        _show(each, screen)
    params = {"repository": repository, "photos": photos, "labels": labels}
    finish(Log("check", wanted=not no_log), screen, lambda: list(of_checks(checked, pictures, params)))
    return FAILED if failed else 0


def main(arguments: Sequence[str]) -> int:
    """Run `topfive check` with `arguments`; return its exit code."""
    return run(check_repository, "check", arguments)


def _names_in(repository: Path) -> list[str]:
    """The class names of the models, if all have the same; else none."""
    listed = {tuple(served_labels(path) or ()) for path in repository.glob(f"*/{LABELS}") if path.is_file()}
    return list(listed.pop()) if len(listed) == 1 else []


def _show(checked: Checked, screen: Screen) -> None:
    screen.say(f"\n[bold]{escape(checked.name)}[/]")
    screen.proof(checked.proof)
    for warning in checked.warnings:
        screen.warn(warning)
