"""Dockerfile, docker-compose.yml and .env, read: what `tests/deploy/test_containers.py` compares.

What lives here: as much of their syntax as these files use. What does not: what must be so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml

from tests.testkit.serving_process import ROOT

COMPOSE_TEXT: Final = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")


def read_knobs() -> dict[str, str]:
    lines = (ROOT / ".env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


KNOBS: Final = read_knobs()


def filled_in(text: str) -> str:
    """`text` with the knobs of .env in their places, as Compose reads it."""
    return re.sub(r"\$\{(\w+)\}", lambda found: KNOBS[found[1]], text)


COMPOSE: Final[dict[str, Any]] = yaml.safe_load(filled_in(COMPOSE_TEXT))
SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]
OURS: Final = {name: service for name, service in SERVICES.items() if service["image"].startswith("topfive:")}
SERVING: Final = {name: service for name, service in OURS.items() if name.startswith("service")}


@dataclass(frozen=True)
class Stage:
    """One stage of the Dockerfile: its name, what it is made from, its instructions."""

    name: str
    base: str
    instructions: list[tuple[str, str]]

    def last(self, word: str) -> str | None:
        """The instruction `word` that holds at the end of this stage, or of those that it is made from."""
        mine = [rest for name, rest in self.instructions if name == word]
        return mine[-1] if mine else STAGES[self.base].last(word) if self.base in STAGES else None


def read_stages() -> Iterator[Stage]:
    text = re.sub(r"^#.*\n|\\\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    for part in re.split(r"^FROM ", text, flags=re.MULTILINE)[1:]:
        head, *lines = [line for line in part.splitlines() if line.strip()]
        base, name = head.split(" AS ")
        yield Stage(name, base, [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines])


STAGES: Final = {stage.name: stage for stage in read_stages()}
INSTRUCTIONS: Final = [instruction for stage in STAGES.values() for instruction in stage.instructions]


def image_environment(stage: Stage) -> dict[str, str]:
    """What ENV says in `stage` and in those that it is made from."""
    below = image_environment(STAGES[stage.base]) if stage.base in STAGES else {}
    return below | {
        name: value
        for word, rest in stage.instructions
        if word == "ENV"
        for name, value in re.findall(r"(\w+)=(\S+)", rest)
    }


def target_of(name: str) -> Stage:
    """The stage that the image of a service of ours ends with."""
    return STAGES[OURS[name]["build"]["target"]]


def settings_of(name: str) -> dict[str, str]:
    """The settings of a service of ours, as its process finds them in its environment."""
    image = image_environment(target_of(name))
    told = {key: str(value) for key, value in (image | SERVING[name]["environment"]).items()}
    return {key: value for key, value in told.items() if key.startswith("TOPFIVE_")}


def published(name: str) -> list[tuple[str, int, int]]:
    """Address and port here, port in the container."""
    parts = [port.split(":") for port in SERVICES[name].get("ports", [])]
    return [(address, int(here), int(there)) for address, here, there in parts]


def mounts(name: str) -> dict[str, str]:
    """The source of each by its target."""
    found = {}
    for volume in SERVICES[name].get("volumes", []):
        if isinstance(volume, dict):
            found[volume["target"]] = volume["source"]
        else:
            source, target, _ = f"{volume}:".split(":", 2)
            found[target] = source
    return found
