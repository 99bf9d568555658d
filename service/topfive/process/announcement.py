"""What is said once, when the service is ready: where it is reached, what it serves, how to try it and how to stop it.

What lives here: the facts, and their text for people. What does not: when it is said (`process`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from topfive import __version__
from topfive.ground.errors import UnknownModel
from topfive.models.served import Models
from topfive.repository.precision import precision_of
from topfive.serving.serving import Serving

logger = logging.getLogger("topfive")

_ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104  # compared with, not bound to
"""By an address that stands for all of the machine's, one that can be clicked."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """The facts: `url` without a path, `grpc` as host:port or empty, each model by name with version and precision."""

    url: str
    grpc: str
    models: dict[str, tuple[int, str]]
    cores: int
    listens_everywhere: bool
    needs_key: bool

    def fields(self) -> dict[str, Any]:
        """For the log line of programs."""
        models = [
            {"name": name, "version": version, "precision": precision}
            for name, (version, precision) in self.models.items()
        ]
        return {"url": self.url, "grpc": self.grpc, "models": models, "cores": self.cores}

    def text(self) -> str:
        """For a terminal."""
        rows = [("page", f"{self.url}/"), ("API", f"{self.url}/docs")]
        if self.grpc:
            rows.append(("gRPC", self.grpc))
        for name, (version, precision) in self.models.items():
            rows.append(("model", ", ".join(filter(None, (name, f"version {version}", precision)))))
        rows.append(("cores", str(self.cores)))
        key = "-H 'Authorization: Bearer <key>' " if self.needs_key else ""
        rows.append(("try", f"curl {key}--data-binary @photo.jpg {self.url}/v1/classify"))
        if self.listens_everywhere:
            rows.append(("note", "it listens on all addresses of this machine"))
        rows.append(("stop", "Ctrl-C"))
        return "\n".join(
            ["", f"  topfive {__version__} is ready", "", *(f"  {key:<7}{value}" for key, value in rows), ""]
        )


def announcement(serving: Serving, *, scheme: str, port: int, grpc_port: int | None) -> Announcement:
    """What is to be said of `serving`, which is ready and listens on these ports."""
    settings = serving.settings
    host = _ANY.get(settings.host) or (f"[{settings.host}]" if ":" in settings.host else settings.host)
    return Announcement(
        url=f"{scheme}://{host}:{port}",
        grpc="" if grpc_port is None else f"{host}:{grpc_port}",
        models=_models(serving, serving.models),
        cores=serving.cores,
        listens_everywhere=settings.host in _ANY,
        needs_key=settings.api_keys_file is not None,
    )


def is_last_of(workers: int, folder: Path, pid: int) -> bool:
    """Whether the worker process `pid` is the one by which all `workers` have become ready; one is told so, once.

    They meet in `folder`. Where it has no room left nobody is told, for that is no reason to serve less.
    """
    try:
        if (folder / "announced").exists():  # one that replaces another leaves no file
            return False
        (folder / f"{pid}.ready").touch()
        if len(list(folder.glob("*.ready"))) < workers:
            return False
        (folder / "announced").touch(exist_ok=False)
    except FileExistsError:
        return False
    except OSError as error:
        logger.warning("whether all workers are ready cannot be told: %s", error)
        return False
    return True


def _models(serving: Serving, models: Models) -> dict[str, tuple[int, str]]:
    """Those that clients call; not the steps of others."""
    stored = serving.stored
    steps = {step.model for model in stored.values() for step in model.config.steps}
    found = {}
    for name in stored.keys() - steps:
        try:
            version = models.find(name).version
        except UnknownModel:  # it prepares images for none
            continue
        last = stored[name].config.steps
        classifier = stored[last[-1].model] if last else stored[name]
        found[name] = (version, precision_of(classifier.graph_path(max(classifier.versions))))
    return found
