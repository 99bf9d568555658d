"""Behind a proxy's prefix, pages and API work: stripped or left, told or not. In front is the real nginx."""

from __future__ import annotations

import http.client
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, Final

import pytest

from benchmarks.nginx import Nginx, is_there
from benchmarks.server import free_port
from tests.testkit.browser import CHROMIUM, launched
from tests.testkit.serving_process import Answer, ServingProcess, serving
from topfive.http.prefix import HERE, server_url, without

ROOT_PATH: Final = "/cats/topfive"


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("/a/v1/classify", "/v1/classify"),
        ("/a", "/"),
        ("/a/", "/"),
        ("/ab", "/ab"),
        ("/v1/classify", "/v1/classify"),
        ("/b/a/x", "/b/a/x"),
    ],
)
def test_a_prefix_is_taken_off_where_it_is(path: str, inside: str) -> None:
    assert without({"path": path}, "/a")["path"] == inside


@pytest.mark.parametrize(
    ("said", "url"),
    [
        ("/a", "/a"),
        ("/a/", "/a"),
        ("/a/b-c_d.e", "/a/b-c_d.e"),
        ("", HERE),
        ("/", HERE),
        ("//evil.example", HERE),
        ("https://evil.example", HERE),
        ("/a/../b", HERE),
        ("/a?b", HERE),
        ("/a" * 200, HERE),
    ],
)
def test_only_a_plain_path_is_believed(said: str, url: str) -> None:
    assert server_url({"x-forwarded-prefix": said}, "") == url
    assert server_url({}, "/set") == "/set"


def site(location: str, *, there: ServingProcess, port: int) -> str:
    """Nginx' configuration: one server with `location`, in which SERVICE stands for the service."""
    location = location.replace("SERVICE", f"http://127.0.0.1:{there.port}")
    return (
        # All in memory: its workers, which are not root, may not enter the folder.
        "log_format topfive '$request'; client_max_body_size 80m; client_body_buffer_size 80m;"
        f"proxy_max_temp_file_size 0; server {{ listen 127.0.0.1:{port}; {location} }}"
    )


KINDS: Final = {
    "stripped": (f"location {ROOT_PATH}/ {{ proxy_pass SERVICE/; }}", (), HERE),
    "stripped and told": (
        f"location {ROOT_PATH}/ {{ proxy_set_header X-Forwarded-Prefix {ROOT_PATH}; proxy_pass SERVICE/; }}",
        (),
        ROOT_PATH,
    ),
    "left": (f"location {ROOT_PATH}/ {{ proxy_pass SERVICE; }}", ("--root-path", ROOT_PATH), ROOT_PATH),
}


@pytest.fixture(scope="module", params=KINDS)
def behind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, str]]:
    """The port of nginx, and what the API's description must say of its server."""
    if not is_there():
        pytest.skip("needs nginx")
    location, flags, expected = KINDS[request.param]
    with serving("--backend", "null", *flags) as service:
        port = free_port()
        proxy = Nginx(tmp_path_factory.mktemp("nginx"), site=site(location, there=service, port=port), port=port)
        with closing(proxy):
            yield port, expected


def ask(
    port: int, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """Through nginx."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request(method, ROOT_PATH + path, body, dict(headers or {}))
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())


def test_the_api_and_what_pages_are_made_of_are_there(behind: tuple[int, str]) -> None:
    port, expected = behind
    raw = {"Content-Type": "application/octet-stream"}
    assert ask(port, "POST", "/v1/classify?height=1&width=1", b"abc", raw).status == 200
    for path in ("/", "/docs", "/static/page/page.js", "/static/swagger/swagger-ui-bundle.js", "/health"):
        assert ask(port, "GET", path).status == 200, path
    assert ask(port, "GET", "/openapi.json").json["servers"] == [{"url": expected}]
    described: Any = ask(port, "GET", "/v2/models/efficientnet_lite0").json
    assert described["name"] == "efficientnet_lite0"


@pytest.mark.skipif(CHROMIUM is None or shutil.which("nginx") is None, reason="needs chromium and nginx")
@pytest.mark.parametrize("behind", ["stripped"], indirect=True)  # the others differ in what the last test looks at
def test_both_pages_work_in_a_browser(behind: tuple[int, str]) -> None:
    port, _ = behind
    with launched() as browser:
        page = browser.new_page()
        failed: list[str] = []
        page.on("response", lambda answer: failed.append(answer.url) if answer.status >= 400 else None)
        page.goto(f"http://127.0.0.1:{port}{ROOT_PATH}/")
        with page.expect_response("**/v1/classify*") as answered:
            page.get_by_role("button", name="A cup of coffee").click()
        assert answered.value.status == 200
        page.locator("#crop").wait_for()
        assert f":{port}{ROOT_PATH}/v1/classify" in page.locator("#code").inner_text()
        page.get_by_role("tab", name="gRPC").click()
        page.get_by_text("tritonclient.grpc.InferenceServerClient").wait_for()
        page.goto(f"http://127.0.0.1:{port}{ROOT_PATH}/docs")
        page.get_by_text("/v2/health/live").click()
        page.get_by_role("button", name="Try it out").click()
        with page.expect_response("**/v2/health/live") as answered:
            page.get_by_role("button", name="Execute").click()
        assert answered.value.url == f"http://127.0.0.1:{port}{ROOT_PATH}/v2/health/live"
        assert answered.value.status == 200
        assert failed == []
