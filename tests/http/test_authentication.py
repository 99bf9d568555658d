"""With `api_keys_file`, who has no key gets the probes, the page and the documentation, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from tests.testkit.oip_bodies import binary_image
from tests.testkit.serving_process import READY, ServingProcess, ask, read_answer, serving

KEY: Final = "correct-horse-battery-staple"
OTHER: Final = "another-key-of-this-service"
OPEN: Final = (
    *("/v2/health/live", "/v2/health/ready", "/docs", "/openapi.json", "/metrics", "/", "/static/page/page.js"),
    *("/static/swagger/swagger-ui.css", "/static/swagger/swagger-ui-bundle.js", "/static/swagger/favicon-32x32.png"),
)
LOCKED: Final = (
    *(("POST", "/v1/classify?height=2&width=2"), ("POST", "/v2/models/tiny/infer"), ("GET", "/v2"), ("GET", "/v2/")),
    *(("POST", "/v2/models/tiny/versions/1/infer"), ("GET", "/v2/models/tiny"), ("GET", "/v2/models/tiny/ready")),
    *(("GET", "/v2/models/tiny/config"), ("GET", "/v2/models/stats"), ("GET", "/v2/models/nope"), ("GET", "//")),
    *(("POST", "/v2/repository/index"), ("POST", "/v2/repository/models/tiny/load"), ("GET", "/no/such/path")),
    *(("HEAD", "/v2"), ("OPTIONS", "/v1/classify"), ("GET", "/docs/"), ("GET", "/v2/health"), ("GET", "/Metrics")),
    *(("GET", "/v2/health/live/"), ("GET", "//v2/health/live"), ("GET", "/v2/health/live/../../models/tiny")),
    *(("GET", "/v2/models/tiny?/v2/health/live"), ("GET", "/static"), ("GET", "//static/x"), ("GET", "/metrics/")),
)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "keys.txt"
    path.write_text(f"# two of them\n{KEY}\n\n{OTHER}\n")
    return path


@pytest.fixture(scope="module")
def locked(tiny_repository: Path, keys: Path) -> Iterator[ServingProcess]:
    with serving("--model-repository", str(tiny_repository), "--api-keys-file", str(keys)) as process:
        yield process


@pytest.mark.parametrize("path", OPEN)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_orchestrators_and_readers_need_is_open(locked: ServingProcess, path: str, method: str) -> None:
    assert locked.ask(method, path).status == 200


@pytest.mark.parametrize(("method", "path"), LOCKED)
def test_everything_else_needs_a_key(locked: ServingProcess, method: str, path: str) -> None:
    """What is there and what is not look the same from outside."""
    with locked.connect() as connection:
        answer = ask(connection, method, path)
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        if method != "HEAD":
            assert "Authorization: Bearer <key>" in answer.assert_error(401, "unauthenticated")
        assert ask(connection, "GET", "/v2/health/live").status == 200, "the connection lives on"


@pytest.mark.parametrize("key", [KEY, OTHER])
def test_with_a_key_all_is_as_without_keys(locked: ServingProcess, key: str) -> None:
    body = binary_image(np.full((1, 2, 2, 3), 7, np.uint8))
    infer = locked.ask("POST", "/v2/models/tiny/infer", body.content, {**body.headers, **bearer(key)})
    assert infer.json["outputs"][0]["data"][0] == "value 7"
    headers = {"Content-Type": "application/octet-stream", **bearer(key)}
    assert locked.ask("POST", "/v1/classify?height=2&width=2", b"\x07" * 12, headers).labels[0] == "value 7"
    for path in ("/v2", "/v2/models/tiny", "/v2/models/tiny/config", "/v2/models/stats"):
        assert locked.ask("GET", path, headers=bearer(key)).status == 200
    locked.ask("GET", "/no/such/path", headers=bearer(key)).assert_error(404, "not_found")


@pytest.mark.parametrize(
    "headers",
    [
        *({}, {"Authorization": ""}, {"Authorization": KEY}, {"Authorization": f"Basic {KEY}"}, bearer("")),
        *(
            bearer(KEY[:-1]),
            bearer(KEY + "x"),
            bearer(KEY.upper()),
            bearer(f"{KEY}, {OTHER}"),
            bearer(f"{KEY} {OTHER}"),
        ),
        *({"X-Api-Key": KEY}, {"Proxy-Authorization": f"Bearer {KEY}"}, {"Cookie": f"Authorization=Bearer {KEY}"}),
        *(bearer("x" * 20_000), {"Authorization": "Bearer \xe9" + KEY}),
    ],
    ids=lambda headers: str(headers)[:40],
)
def test_a_wrong_key_is_none(locked: ServingProcess, headers: Mapping[str, str]) -> None:
    locked.ask("GET", "/v2", headers=headers).assert_error(401, "unauthenticated")


def test_a_key_in_the_query_is_none(locked: ServingProcess) -> None:
    """There it would end up in the logs of everything on the way."""
    locked.ask("GET", f"/v2?authorization=Bearer%20{KEY}&key={KEY}").assert_error(401, "unauthenticated")


def test_two_authorizations_are_refused_even_if_both_are_good(locked: ServingProcess) -> None:
    """A proxy in front may have looked at the other one."""
    for first, second in ((KEY, KEY), (KEY, "wrong"), ("wrong", KEY)):
        with locked.open_socket() as connection:
            lines = f"Authorization: Bearer {first}\r\nauthorization: Bearer {second}\r\n"
            connection.sendall(f"GET /v2 HTTP/1.1\r\nHost: test\r\n{lines}\r\n".encode())
            read_answer(connection).assert_error(401, "unauthenticated")


def test_a_refusal_does_not_wait_for_the_body(locked: ServingProcess) -> None:
    """And nothing of it is held."""
    with locked.open_socket() as connection:
        head = "POST /v1/classify HTTP/1.1\r\nHost: test\r\nContent-Length: 70000000\r\nExpect: 100-continue\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(12) == b"HTTP/1.1 401"
        assert locked.metric("topfive_in_flight_bytes") == 0


def test_refusals_are_counted(locked: ServingProcess) -> None:
    """Somebody who tries keys is to be seen."""
    before = locked.metric("topfive_rejected_total", reason="unauthenticated")
    for _ in range(3):
        assert locked.ask("GET", "/v2", headers=bearer("guess")).status == 401
    assert locked.metric("topfive_rejected_total", reason="unauthenticated") == before + 3


def test_metrics_are_locked_by_a_setting(tiny_repository: Path, keys: Path) -> None:
    flags = ("--backend", "null", "--model-repository", str(tiny_repository), "--api-keys-file", str(keys))
    with serving(*flags, "--metrics-need-key") as process:
        process.ask("GET", "/metrics").assert_error(401, "unauthenticated")
        assert process.ask("GET", "/metrics", headers=bearer(KEY)).status == 200
        assert process.ask("GET", "/v2/health/ready").status == 200


def test_no_key_is_ever_written(tiny_repository: Path, keys: Path) -> None:
    """At the most talkative level, with good and bad keys, in good and bad requests."""
    flags = ("--model-repository", str(tiny_repository), "--api-keys-file", str(keys), "--log-level", "debug")
    with serving(*flags) as process:
        for key in (KEY, "wrong-swordfish-key"):
            for method, path in (("GET", "/v2"), ("POST", "/v1/classify"), ("POST", "/v2/models/tiny/infer")):
                process.ask(method, path, b"x", {**bearer(key), "X-Request-Id": "one"})
        process.wait_for_log('"one"', count=2)
        assert process.stop() == 0
        log = "".join(process.log)
    assert READY in log
    assert not [secret for secret in (KEY, OTHER, "swordfish", "Bearer") if secret in log]


@pytest.mark.parametrize(("content", "workers"), [(None, "1"), ("", "1"), ("too-short\n", "1"), (None, "2")])
def test_a_bad_file_of_keys_is_refused_at_the_start(
    tmp_path: Path, tiny_repository: Path, content: str | None, workers: str
) -> None:
    """With exit code 2 and one line that names the setting, rather than served without keys."""
    path = tmp_path / "keys"
    if content is not None:
        path.write_text(content)
    flags = ("--model-repository", str(tiny_repository), "--api-keys-file", str(path), "--workers", workers)
    with ServingProcess("--backend", "null", *flags) as process:
        assert process.wait() == 2
        log = "".join(process.log)
    assert "api_keys_file" in log
    assert "Traceback" not in log
    assert "too-short" not in log
    assert READY not in log
