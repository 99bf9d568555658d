"""`topfive shadow report`: what a running service has found by its shadow, read from its metrics and `/v1/rollout`."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from rich.markup import escape
from typer import Argument, Option

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.commands.running import run
from topfive_pipeline.commands.screen import Screen, print_json
from topfive_pipeline.judging.shadowing import ShadowReport, read_shadows

_SECONDS: Final = 10.0
_MOST_BYTES: Final = 16 << 20
_SHOWN: Final = 10


def report(
    url: Annotated[
        str,
        Argument(help="The service, such as http://localhost:8000; or a file with its /metrics.", metavar="URL|FILE"),
    ],
    key_file: Annotated[Path | None, Option(help="File with an API key of the service.")] = None,
    as_json: Annotated[bool, Option("--json", help="One JSON document instead of tables.")] = False,
) -> int:
    """Report what a service's shadow says: how often it agrees, how far, how fast, and where it last did not.

    The counts are of all worker processes since their start; the disagreements are those of the process that answers.

    Exit code: 0, or 2 if there is no shadow, or the service cannot be asked.
    """
    metrics, rollout = _asked(url, key_file)
    try:
        found = read_shadows(metrics, rollout)
    except ValueError as error:
        raise ConfigurationError(f"what {url} says is not Prometheus' text: {error}") from error
    if not found:
        raise ConfigurationError(f"{url} tells of no shadow; set one: TOPFIVE_SHADOW=efficientnet_lite0:2@10%")
    if as_json:
        print_json([each.document() for each in found])
        return 0
    screen = Screen()
    for each in found:
        _show(each, screen)
    return 0


def main(arguments: Sequence[str]) -> int:
    """Run `topfive shadow` with `arguments`; return its exit code."""
    if arguments and arguments[0] == "report":
        return run(report, "shadow report", arguments[1:])
    if not arguments or arguments[0].startswith("-"):
        return run(report, "shadow report", arguments)
    return run(_unknown, "shadow", arguments[:1])


def _unknown(word: str) -> int:
    raise ConfigurationError(f"there is no '{word}'; there is report: topfive shadow report http://localhost:8000")


def _asked(url: str, key_file: Path | None) -> tuple[str, Mapping[str, Any] | None]:
    """The metrics, and what `/v1/rollout` says; None of the latter for a file."""
    if "://" not in url:
        return Path(url).read_text(encoding="utf-8"), None
    key = "" if key_file is None else key_file.read_text(encoding="ascii").strip()
    metrics = _get(url, "/metrics", key)
    rollout = json.loads(_get(url, "/v1/rollout", key))
    if not isinstance(rollout, dict):
        raise ConfigurationError(f"what {url}/v1/rollout says is not what topfive says there")
    return metrics, rollout


def _get(url: str, path: str, key: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(f"'{url}' is no URL of a service; write http://HOST:PORT")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=_SECONDS)
    try:
        connection.request(
            "GET", parts.path.rstrip("/") + path, headers={"Authorization": f"Bearer {key}"} if key else {}
        )
        response = connection.getresponse()
        body = response.read(_MOST_BYTES).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        raise ConfigurationError(f"{url} does not answer: {error}") from error
    finally:
        connection.close()
    if response.status != 200:
        hint = "; name a file with its key: --key-file" if response.status == 401 else ""
        raise ConfigurationError(f"{url}{path} answers with status {response.status}{hint}")
    return body


def _show(found: ShadowReport, screen: Screen) -> None:
    screen.say(f"[bold]{escape(found.sentence)}[/]")
    rows = []
    if found.compared:
        rows.append(("images compared", f"{found.compared}, of which {found.compared - found.agreed} differ"))
        changes = ", ".join(f"{name} {value:.3f}" for name, value in found.changes.items())
        rows.append(("change of probability", f"{changes}   (|p shadow - p live| of the live first label)"))
        rows.append(("labels in both", f"{found.overlap:.1%} of five"))
    if found.slowdown is not None and found.live_seconds is not None and found.shadow_seconds is not None:
        times = f"{found.shadow_seconds * 1000:.1f} ms, live {found.live_seconds * 1000:.1f} ms"
        rows.append(
            ("time", f"{times}: {found.slowdown:.2f} x   (compare by a canary, which runs as the live version does)")
        )
    dropped = ", ".join(f"{reason} {count}" for reason, count in found.dropped.items())
    rows.append(("not compared", dropped or "none"))
    screen.pairs("", rows)
    if found.disagreements:
        last = [_row(each) for each in found.disagreements[:_SHOWN]]
        screen.say("")
        screen.table("The last images that differ", ("request", "image", "live", "shadow", "seconds ago"), last)


def _row(each: Mapping[str, Any]) -> tuple[str, ...]:
    def first(labels: Sequence[Mapping[str, Any]]) -> str:
        return f"{labels[0]['label']} {labels[0]['probability']:.2f}" if labels else "no label"

    said = (first(each["live"]), first(each["shadow"]))
    return (str(each["request_id"]), str(each["image"]), *said, f"{each['seconds_ago']:.0f}")
