"""The application around the routes: one shape for every error, and a lifespan that starts and stops the service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from fastapi import FastAPI

from tests.testkit.serving_process import ServingProcess
from topfive.app import create_app, create_serving
from topfive.config.settings import Settings
from topfive.ground.errors import BackendFailure, ConfigurationError, NotReady
from topfive.ground.lifecycle import State
from topfive.serving.serving import Serving


@pytest.fixture
def serving(tiny_repository: Path) -> Serving:
    settings = Settings(model_repository=tiny_repository, backend="null")
    return create_serving(settings, on_fatal=lambda: pytest.fail("the service failed"))


async def get(app: FastAPI, path: str) -> tuple[int, dict[str, Any], BaseException | None]:
    """Status and body of what `app` answers, and the error that it hands on to the server to log."""
    sent: list[Any] = []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "path": path,
        "root_path": "",
        "query_string": b"",
        "headers": [],
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    raised: BaseException | None = None
    try:
        await app(scope, receive, send)
    except Exception as error:  # noqa: BLE001  # whatever it hands on
        raised = error
    body = b"".join(message["body"] for message in sent[1:])
    return sent[0]["status"], orjson.loads(body), raised


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "/", 405, "method_not_allowed"),
        ("GET", "/no/such/path", 404, "not_found"),
        ("GET", "/docs/", 404, "not_found"),
        ("GET", "/%00", 404, "not_found"),
        ("GET", "/static/no/such/file", 404, "not_found"),
        ("GET", "/static/%00", 404, "not_found"),
        ("POST", "/docs", 405, "method_not_allowed"),
        ("DELETE", "/openapi.json", 405, "method_not_allowed"),
        ("PUT", "/v1/classify", 405, "method_not_allowed"),
        ("POST", "/static/swagger/swagger-ui.css", 405, "method_not_allowed"),
    ],
)
def test_the_frameworks_errors_have_our_shape(
    service: ServingProcess, method: str, path: str, status: int, code: str
) -> None:
    answer = service.ask(method, path)
    assert "/docs" in answer.assert_error(status, code)
    assert (answer.headers["allow"] is not None) == (status == 405)


def test_a_message_does_not_repeat_a_long_path(service: ServingProcess) -> None:
    assert len(service.ask("GET", "/" + "x" * 5000).assert_error(404, "not_found")) < 400


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (RuntimeError("password"), 500, "internal"),
        (BackendFailure("password"), 500, "internal"),
        (NotReady("retry shortly"), 503, "not_ready"),
    ],
)
async def test_an_error_in_any_route_is_answered_in_our_shape(
    serving: Serving, error: Exception, status: int, code: str
) -> None:
    """Without internals where it is our fault; the server is handed what it must log."""
    app = create_app(serving)

    async def fail() -> None:
        raise error

    app.add_api_route("/fail", fail)
    answered, body, raised = await get(app, "/fail")
    assert (answered, body["code"]) == (status, code)
    assert set(body) == {"error", "code"}
    assert "password" not in body["error"]
    assert (raised is error) == isinstance(error, RuntimeError)


async def test_the_lifespan_starts_and_stops_the_service(serving: Serving) -> None:
    app = create_app(serving)
    assert (await get(app, "/v2/health/ready"))[0] == 503
    async with app.router.lifespan_context(app):
        await serving.wait_until_loaded()
        assert (await get(app, "/v2/health/ready"))[:2] == (200, {"ready": True, "state": "ready"})
    assert serving.lifecycle.state is State.STOPPED
    assert (await get(app, "/v2/health/ready"))[0] == 503


def test_a_repository_that_is_not_there_is_known_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nowhere"):
        create_serving(Settings(model_repository=tmp_path / "nowhere"), on_fatal=lambda: None)
