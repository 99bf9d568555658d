"""The announcement when the service is ready: its addresses, what it serves, how to try it and how to stop it.

What lives here: the facts, and their text for people. What does not: the moment (`process.main`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from topfive import __version__
from topfive.ground.errors import UnknownModel
from topfive.repository.precision import computes_in, precision_of
from topfive.serving.serving import Serving

logger = logging.getLogger("topfive")

_ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104  # compared with, not bound to
"""An address that can be clicked, by the address that stands for all addresses of the machine."""


_ENGINES: Final = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}


@dataclass(frozen=True, slots=True)
class AnnouncedModel:
    """A model's version, the precision of its graph or empty, and the engine that runs it here, or empty."""

    version: int
    precision: str
    engine: str


@dataclass(frozen=True, slots=True)
class Announcement:
    """The facts: `url` without a path, `grpc` as host:port or empty, and by name what is said of each model."""

    url: str
    grpc: str
    models: dict[str, AnnouncedModel]
    cores: int
    listens_everywhere: bool
    needs_key: bool

    def fields(self) -> dict[str, Any]:
        """The fields of the log line for programs."""
        models = [
            {"name": name, "version": model.version, "precision": model.precision, "engine": model.engine}
            for name, model in self.models.items()
        ]
        return {"url": self.url, "grpc": self.grpc, "models": models, "cores": self.cores}

    def text(self) -> str:
        """The text for a terminal."""
        rows = [("page", f"{self.url}/"), ("API", f"{self.url}/docs")]
        if self.grpc:
            rows.append(("gRPC", self.grpc))
        for name, model in self.models.items():
            computes = " on ".join(filter(None, (model.precision, _ENGINES.get(model.engine))))
            rows.append(("model", ", ".join(filter(None, (name, f"version {model.version}", computes)))))
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
    """The announcement of `serving`, which is ready and listens on these ports."""
    settings = serving.settings
    host = _ANY.get(settings.host) or (f"[{settings.host}]" if ":" in settings.host else settings.host)
    return Announcement(
        url=f"{scheme}://{host}:{port}",
        grpc="" if grpc_port is None else f"{host}:{grpc_port}",
        models=_models(serving),
        cores=serving.cores,
        listens_everywhere=settings.host in _ANY,
        needs_key=settings.api_keys_file is not None,
    )


def is_last_of(workers: int, folder: Path, pid: int) -> bool:
    """Whether all `workers` are ready now that the worker process `pid` is; True for one of them, and only once.

    They meet in `folder`. If it has no room left, the answer is False for all: it is only an announcement.
    """
    try:
        if (folder / "announced").exists():  # a worker process that replaces another need not leave a file
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


def _models(serving: Serving) -> dict[str, AnnouncedModel]:
    """The models that clients call, without those that are only steps of an ensemble."""
    stored = serving.stored
    steps = {step.model for model in stored.values() for step in model.config.steps}
    found = {}
    for name in stored.keys() - steps:
        try:
            version = serving.trials.live(name).version
        except UnknownModel:  # a graph that prepares images, but is no ensemble's step
            continue
        last = stored[name].config.steps
        classifier = stored[last[-1].model] if last else stored[name]
        config, graph = classifier.config, classifier.graph_path(version)
        here = serving.settings.backend == "embedded"
        precision = computes_in(graph, config) if here else precision_of(graph)
        found[name] = AnnouncedModel(version, precision, config.engine if here else "")
    return found
