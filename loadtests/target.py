"""The server under test: its address, its features, and the questions asked before anything is measured."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import urlsplit

from loadtests.queries import HTTP_SCENARIOS, Scenario
from topfive_loadgen.metrics import parse

OURS: Final = "topfive"
PATIENCE_SECONDS: Final = 5.0
# Ignores the proxies of the environment, as the generators do.
_DIRECT: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class NoTarget(Exception):
    """The server cannot be measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A server of the Open Inference Protocol; `grpc` is host:port, or empty."""

    url: str
    model: str
    name: str
    version: str
    metrics_url: str
    grpc: str

    @property
    def scenarios(self) -> tuple[Scenario, ...]:
        """The scenarios that the server supports over HTTP; only topfive has `/v1/classify`."""
        return HTTP_SCENARIOS if self.name == OURS else ("oip",)

    def check(self, scenarios: Iterable[Scenario]) -> None:
        """Raise `NoTarget` if the server does not support these scenarios."""
        for scenario in scenarios:
            if scenario == "grpc" and not self.grpc:
                raise NoTarget("to ask over gRPC, say where that is: --grpc host:port")
            if scenario not in {*self.scenarios, "grpc"}:
                raise NoTarget(
                    f"{self.name} at {self.url} has no /v1/classify for {scenario!r}: ask it with oip or grpc"
                )


def find(url: str, *, model: str, metrics_url: str = "", grpc: str = "") -> Target:
    """Ask the server for its name and features; raises `NoTarget`, which says what to do."""
    url = url.rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path or parts.query:
        raise NoTarget(f"{url!r} is no server: give it as http://host:port")
    try:
        told = json.loads(get(f"{url}/v2"))
        name, version = str(told["name"]), str(told["version"])
    except OSError as error:
        raise NoTarget(
            f"nothing answers at {url} ({error}): start it (`make run`), or name another with --url"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise NoTarget(f"{url}/v2 does not answer as a server of the Open Inference Protocol does") from error
    try:
        get(f"{url}/v2/models/{model}/ready")
    except OSError as error:
        raise NoTarget(f"{url} does not serve {model!r} now ({error}): name its model with --model") from error
    return Target(
        url=url, model=model, name=name, version=version, metrics_url=metrics_url or f"{url}/metrics", grpc=grpc
    )


def settings(target: Target) -> dict[str, str]:
    """The server's settings for the report: the parts of the model's configuration in which runs may differ."""
    config = _config(target, target.model)
    steps = config.get("ensemble_scheduling", {}).get("step", [])
    configs = [_config(target, step["model_name"]) for step in steps] or [config]
    return {
        f"{one['name']}: {key}": json.dumps(one[key], separators=(",", ":"))
        for one in configs
        for key in ("max_batch_size", "dynamic_batching", "instance_group", "parameters")
        if one.get(key)
    }


def in_int8(metrics_url: str) -> list[str]:
    """The models that the server runs in INT8, by topfive's metrics; none if there are no such metrics."""
    try:
        reading = parse(get(metrics_url).decode())
    except (OSError, ValueError):
        return []
    info = "topfive_model_info"
    return [model for model in reading.labelled(info, "model") if reading.sum(info, model=model, precision="INT8")]


def _config(target: Target, model: str) -> dict[str, Any]:
    """The configuration of a model; empty if the server does not report it."""
    try:
        found: dict[str, Any] = json.loads(get(f"{target.url}/v2/models/{model}/config"))
    except (OSError, ValueError):
        return {}
    return found


def get(url: str, *, seconds: float = PATIENCE_SECONDS) -> bytes:
    """The body of an answer with status 200; raises `OSError` for any other answer, and if none comes in time."""
    try:
        with _DIRECT.open(url, timeout=seconds) as answer:
            body: bytes = answer.read()
            return body
    except HTTPException as error:  # half an answer, which is no OSError
        raise ConnectionResetError(f"no whole answer: {error!r}") from error
