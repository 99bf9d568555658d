"""A page of an allowed origin may call the service from a browser and read its answers, errors too; others may not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.testkit.browser import CHROMIUM, launched
from tests.testkit.serving_process import Answer, ServingProcess, serving
from topfive.ground.origins import read_origins

SHOP = "https://shop.example"
KEY = "correct-horse-battery-staple"
EXPOSED = "access-control-expose-headers"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,x-own"}


def origin_of(service: ServingProcess) -> str:
    return f"http://127.0.0.1:{service.port}"


@pytest.fixture(scope="module")
def closed(service: ServingProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServingProcess]:
    """A service that asks for keys, and lets three origins in, of which another service's pages are one."""
    keys: Path = tmp_path_factory.mktemp("keys") / "keys.txt"
    keys.write_text(f"{KEY}\n", "utf-8")
    origins = f"{SHOP},http://localhost:5173,{origin_of(service)}"
    flags = ("--backend", "null", "--api-keys-file", str(keys), "--cors-origins", origins)
    with serving(*flags) as process:
        yield process


@pytest.fixture(scope="module")
def open_to_all() -> Iterator[ServingProcess]:
    with serving("--backend", "null", "--cors-origins", "*") as process:
        yield process


def allowed(answer: Answer) -> str | None:
    origin: str | None = answer.headers["access-control-allow-origin"]
    return origin


@pytest.mark.parametrize("path", ["/v1/classify", "/v2/models/efficientnet_lite0/infer", "/metrics", "/v2"])
def test_a_preflight_needs_no_key_and_is_allowed_what_it_asks_for(path: str, closed: ServingProcess) -> None:
    answer = closed.ask("OPTIONS", path, headers={"Origin": SHOP, **PREFLIGHT})
    assert (answer.status, answer.body) == (204, b"")
    assert allowed(answer) == SHOP
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"] == "authorization,x-own"
    assert int(answer.headers["access-control-max-age"]) > 0
    assert answer.headers["vary"] == "origin"


@pytest.mark.parametrize("origin", ["https://evil.example", "https://shop.example.evil", "http://shop.example", "null"])
def test_others_are_answered_and_their_pages_may_not_read_it(origin: str, closed: ServingProcess) -> None:
    for method, headers in (("OPTIONS", PREFLIGHT), ("GET", {})):
        answer = closed.ask(method, "/v2/health/ready", headers={"Origin": origin, **headers})
        assert answer.status in (200, 204)
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
        assert answer.headers["vary"] == "origin"


def test_a_request_still_needs_its_key_and_a_page_may_read_that(closed: ServingProcess) -> None:
    answer = closed.ask("POST", "/v1/classify", b"x", {"Origin": "http://localhost:5173"})
    answer.assert_error(401, "unauthenticated")
    assert allowed(answer) == "http://localhost:5173"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v1/classify?height=1&width=1", 200),
        ("POST", "/v1/classify?bogus=1", 400),
        ("POST", "/v2/models/none/infer", 404),
        ("GET", "/nowhere", 404),
        ("GET", "/v1/classify", 405),
    ],
)
def test_answers_of_every_kind_can_be_read(method: str, path: str, status: int, open_to_all: ServingProcess) -> None:
    headers = {"Origin": "https://any.example", "Content-Type": "application/octet-stream"}
    answer = open_to_all.ask(method, path, b"xxx", headers)
    assert answer.status == status, answer
    assert allowed(answer) == "*"
    assert "server-timing" in answer.headers[EXPOSED]
    assert "retry-after" in answer.headers[EXPOSED]


def test_headers_that_are_none_are_not_repeated(open_to_all: ServingProcess) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "a\tb" + "c" * 2000}
    answer = open_to_all.ask("OPTIONS", "/v1/classify", headers={"Origin": SHOP, **asked})
    assert "authorization" in answer.headers["access-control-allow-headers"]


def test_it_is_off_by_default(service: ServingProcess) -> None:
    answer = service.ask("GET", "/v2/health/live", headers={"Origin": SHOP})
    assert allowed(answer) is None
    assert service.ask("OPTIONS", "/v1/classify", headers={"Origin": SHOP, **PREFLIGHT}).status == 405


def test_origins_are_read_as_browsers_write_them() -> None:
    text = " HTTPS://Shop.example:443, http://a:80 ,http://b:8080,capacitor://localhost,http://[::1]:99,"
    expected = {"https://shop.example", "http://a", "http://b:8080", "capacitor://localhost", "http://[::1]:99"}
    assert read_origins(text) == expected
    assert read_origins("*") == {"*"}
    assert read_origins("") == frozenset()


@pytest.mark.parametrize("text", ["shop.example", "https://shop.example/", "https://a/b", "null", "https://", "a b"])
def test_what_is_no_origin_is_refused_by_its_name(text: str) -> None:
    with pytest.raises(ValueError, match="is no origin"):
        read_origins(text)


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_browser_lets_the_page_of_an_allowed_origin_read_answers_and_no_other(
    closed: ServingProcess, service: ServingProcess, open_to_all: ServingProcess
) -> None:
    """The pages are those of two other services, of which one is let in."""
    script = """async ([url, key]) => {
        const headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/octet-stream" };
        try {
            const answer = await fetch(url, { method: "POST", headers, body: new Uint8Array(3) });
            return [answer.status, answer.headers.get("Server-Timing") !== null];
        } catch (error) { return [0, error.name]; }
    }"""
    url = f"{origin_of(closed)}/v1/classify?height=1&width=1"
    with launched() as browser:
        seen = []
        for other in (service, open_to_all):
            page = browser.new_page()
            page.goto(f"{origin_of(other)}/docs")
            seen.append([page.evaluate(script, [url, key]) for key in (KEY, "wrong")])
    assert seen == [[[200, True], [401, False]], [[0, "TypeError"]] * 2]
