"""The site of `docs/` builds strictly, loads nothing from elsewhere, and what is broken in it fails the build."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

import pytest

from tests.testkit.serving_process import ROOT

pytestmark = pytest.mark.untraced

LOADED: Final = {"img": "src", "script": "src", "link": "href", "iframe": "src", "source": "src"}
"""Tags whose addresses a browser fetches by itself, and the attribute that has it."""
NOT_FETCHED: Final = {"canonical", "prev", "next"}
"""Of `<link>`: what is only said."""


def build(source: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """`make docs` for the sources in this folder."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", str(source / "mkdocs.yml")]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*command, "--site-dir", str(site)], capture_output=True, text=True, check=False, env=environment, cwd=source
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = build(ROOT, folder)
    assert built.returncode == 0, built.stderr
    return folder


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The sources of the site, to be broken."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    for path in ROOT.iterdir():  # what pages link to, and the hooks
        if path.name not in {"build", "docs", "mkdocs.yml"}:
            (tmp_path / path.name).symlink_to(path)
    return tmp_path


class Fetched(HTMLParser):
    """The addresses that a browser fetches for a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in LOADED and not (tag == "link" and given.get("rel") in NOT_FETCHED):
            self.found.extend(filter(None, [given.get(LOADED[tag])]))


def fetched(page: Path) -> Iterator[str]:
    parser = Fetched()
    parser.feed(page.read_text(encoding="utf-8"))
    yield from parser.found


def test_every_page_of_the_docs_is_in_the_site(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")}
    built = {page.with_name(page.name.replace("README.md", "index.md")).with_suffix(".html") for page in pages}
    assert built <= {path.relative_to(site) for path in site.rglob("*.html")}
    assert len(built) > 20


def test_no_page_fetches_anything_from_another_host(site: Path) -> None:
    addresses = {(page.name, address) for page in site.rglob("*.html") for address in fetched(page)}
    assert addresses
    assert [found for found in sorted(addresses) if "//" in found[1]] == []


def test_no_page_has_a_diagram_that_only_a_script_of_another_host_could_draw(site: Path) -> None:
    assert [page.name for page in site.rglob("*.html") if 'class="mermaid"' in page.read_text(encoding="utf-8")] == []


def test_the_search_knows_every_setting(site: Path) -> None:
    entries = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))["docs"]
    assert any(
        entry["location"].startswith("settings.html") and "max_queue_wait_seconds" in entry["text"] for entry in entries
    )


def test_files_outside_the_docs_are_named_and_not_linked(site: Path) -> None:
    page = (site / "operations.html").read_text(encoding="utf-8")
    assert "<code>deploy/nginx.conf</code>" in page
    assert 'href="../deploy' not in page


BROKEN: Final = {
    "[x](architecture.md#no-such-heading)": "no-such-heading",
    "[x](no-such-page.md)": "no-such-page.md",
    "[x](../deploy/no-such-file.conf)": "no-such-file.conf",
    "![x](no-such-picture.png)": "no-such-picture.png",
}
"""What may be broken in a page, and what the build must name."""


def test_what_is_broken_fails_the_build_by_name(copy: Path) -> None:
    with (copy / "docs" / "index.md").open("a", encoding="utf-8") as page:
        page.writelines(f"\n{text}\n" for text in BROKEN)
    (copy / "docs" / "outside.md").write_text("# A page that the nav does not have", encoding="utf-8")
    built = build(copy, copy / "site")
    assert built.returncode != 0
    warnings = built.stderr.split("WARNING")[1:]
    assert [name for name in (*BROKEN.values(), "outside.md") if not any(name in line for line in warnings)] == []
    assert len(warnings) == len(BROKEN) + 1, built.stderr
