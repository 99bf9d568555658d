"""The servers of all candidates: each the real one, on a copy of the repository with the config.pbtxt of its candidate.

They stay up while others have their turn, asleep; so candidates can be measured in turns without starting anew.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from topfive.repository.misplaced import CONFIG
from topfive_pipeline.proof.served import serve
from topfive_pipeline.under_load.server import first_labels, metrics


@dataclass(frozen=True, slots=True)
class Running:
    """A server at `url`, which `close` ends.

    `labels`: the first label's index of each request, None where it refused. `pays`: see `settings.batching`.
    """

    url: str
    labels: tuple[int | None, ...]
    pays: int
    close: ExitStack


class Servers:
    """Servers of copies in `folder`, which end with the context. `models`: the folders that are served."""

    def __init__(self, folder: Path, models: Sequence[Path], *, classifier: str, flags: Sequence[str]) -> None:
        self._folder = folder
        self._models = models
        self._classifier = classifier
        self._flags = ["--no-grpc", *flags]
        self._count = 0
        self._all = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._all.close()

    def start(self, text: str, requests: Sequence[bytes]) -> Running:
        """A server whose classifier has the config.pbtxt `text`, once it has answered each of `requests`.

        Raises `ConfigurationError` with what it said if it cannot serve that, and `OSError` if it ends meanwhile.
        """
        self._count += 1
        repository = self._folder / str(self._count)
        for model in self._models:
            _copied(model, repository / model.name)
        (repository / self._classifier / CONFIG).write_text(text, encoding="utf-8")
        own = ExitStack()
        self._all.push(own)
        own.callback(shutil.rmtree, repository, ignore_errors=True)
        served = own.enter_context(serve(repository, self._flags))
        return Running(served.url, first_labels(served.url, requests), self._pays(served.url), own)

    def _pays(self, url: str) -> int:
        """The batch size that its warm-up found to pay."""
        found = [
            dict(labels)["limit"]
            for name, labels in metrics(url).values
            if name == "topfive_model_info" and dict(labels)["model"] == self._classifier
        ]
        return int(found[0])


def _copied(model: Path, copy: Path) -> None:
    """A folder with links to all that `model` holds, but with a config.pbtxt of its own."""
    copy.mkdir(parents=True)
    for path in model.resolve().iterdir():
        if path.name == CONFIG:
            shutil.copyfile(path, copy / CONFIG)
        else:
            (copy / path.name).symlink_to(path, target_is_directory=path.is_dir())
