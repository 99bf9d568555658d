"""`/` and its parts over HTTP: open, small, asked about before they are used again, and under a strict policy.

What the page does is in `tests/end_to_end/test_page.py`.
"""

from __future__ import annotations

import re

import pytest

from tests.testkit.serving_process import ServingProcess
from topfive.http.page import FOLDER

PARTS = sorted(f"/static/page/{path.name}" for path in FOLDER.iterdir() if path.name != "index.html")
TYPES = {
    "css": "text/css; charset=utf-8",
    "jpg": "image/jpeg",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


def test_the_page_is_served(service: ServingProcess) -> None:
    answer = service.ask("GET", "/")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.body == (FOLDER / "index.html").read_bytes()


@pytest.mark.parametrize("path", PARTS)
def test_its_parts_are_served_under_their_types(service: ServingProcess, path: str) -> None:
    answer = service.ask("GET", path)
    assert answer.status == 200
    assert answer.headers["content-type"] == TYPES[path.rpartition(".")[2]]
    assert 100 < len(answer.body) < 60_000


def test_the_examples_and_what_comes_first_are_small() -> None:
    """All photos together, and what a browser asks for before anything is done."""
    photos = [path.stat().st_size for path in FOLDER.glob("*.jpg")]
    assert len(photos) == 7
    assert sum(photos) < 150_000
    first = [path.stat().st_size for path in FOLDER.iterdir() if path.suffix in {".html", ".css", ".js", ".svg"}]
    assert sum(first) + (FOLDER / "examples.jpg").stat().st_size < 100_000
    assert max(len(path.read_text("utf-8").splitlines()) for path in FOLDER.iterdir() if path.suffix != ".jpg") <= 250


def test_the_port_of_grpc_is_told(service: ServingProcess) -> None:
    """Which a page cannot know otherwise; null would say that there is none."""
    answer = service.ask("GET", "/static/page/service.json")
    assert (answer.status, answer.json) == (200, {"grpc_port": service.grpc_port})
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-cache"


def test_every_part_is_used_and_none_is_inline() -> None:
    """What the policy forbids is not there; what is there is named by the page or a part of it."""
    page = (FOLDER / "index.html").read_text(encoding="utf-8")
    assert re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", page) is None
    texts = [path.read_text(encoding="utf-8") for path in FOLDER.iterdir() if path.suffix in {".html", ".js", ".css"}]
    assert [path for path in PARTS if not any(path.rpartition("/")[2] in text for text in texts)] == []
    assert [text for text in texts if "innerHTML" in text or "http://" in text.replace("http://www.w3.org", "")] == []


@pytest.mark.parametrize("path", ["/", *PARTS])
def test_a_browser_is_told_what_it_may_do(service: ServingProcess, path: str) -> None:
    headers = service.ask("GET", path).headers
    policy = dict(rule.strip().split(" ", 1) for rule in headers["content-security-policy"].split(";"))
    assert policy.pop("default-src") == "'none'"
    assert policy.pop("img-src") == "'self' blob:"
    assert policy.pop("require-trusted-types-for") == "'script'"
    assert {name: policy.pop(name) for name in ("script-src", "style-src", "connect-src")} == {
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
    }
    assert policy == {"base-uri": "'none'", "form-action": "'none'", "frame-ancestors": "'none'"}
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["permissions-policy"].startswith("camera=(self)")


@pytest.mark.parametrize("path", ["/", "/static/page/page.js"])
def test_who_has_it_is_told_so(service: ServingProcess, path: str) -> None:
    first = service.ask("GET", path)
    assert first.headers["cache-control"] == "no-cache"
    tag = first.headers["etag"]
    for condition in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = service.ask("GET", path, headers={"If-None-Match": condition})
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
    assert service.ask("GET", path, headers={"If-None-Match": '"other"'}).body == first.body


@pytest.mark.parametrize("path", ["/", "/static/page/coffee.jpg"])
def test_head_is_get_without_the_body(service: ServingProcess, path: str) -> None:
    got, told = service.ask("GET", path), service.ask("HEAD", path)
    assert (told.status, told.body) == (200, b"")
    assert dict(told.headers) == dict(got.headers)
    assert int(told.headers["content-length"]) == len(got.body)


@pytest.mark.parametrize("path", ["/static/page/no.js", "/static/page/index.html", "/static/page/", "/index.html"])
def test_nothing_else_is_served(service: ServingProcess, path: str) -> None:
    """The page neither, under another name, where it would be without its policy."""
    service.ask("GET", path).assert_error(404, "not_found")
