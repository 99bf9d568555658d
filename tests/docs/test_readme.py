"""What the documentation says is so: its commands run and print what it shows, its links lead somewhere.

A `bash` or `python` block of the README, the tutorial or the page on requests is run, in order, against a running
service; a `json` or `text` block right after it is what it must print, numbers up to their last digits. Commands of
`make` and of `docker compose` are only looked up.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.testkit.container_files import SERVICES
from tests.testkit.serving_process import ROOT, ServingProcess, serving

README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = [README, *sorted(DOCS.glob("*.md"))]
RUN = [README, DOCS / "tutorial.md", DOCS / "requests.md", DOCS / "balancing.md"]
"""Whose commands are run."""
ADDRESS = "127.0.0.1:8000"


@dataclass(frozen=True)
class Block:
    """A fenced block; `shown` is what the block right after it shows, if that is of a language for output."""

    language: str
    text: str
    shown: tuple[str, str] | None


def blocks(page: Path) -> Iterator[Block]:
    found = list(re.finditer(r"^```(\w+)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL))
    for block, after in zip(found, [*found[1:], None], strict=True):
        between = "" if after is None else block.string[block.end() : after.start()].strip()
        is_output = after is not None and not between and after[1] in {"json", "text"}
        yield Block(block[1], block[2], (after[1], after[2]) if after is not None and is_output else None)


def commands(page: Path) -> list[Block]:
    return [block for block in blocks(page) if block.language in {"bash", "python"}]


def same(printed: object, shown: object) -> bool:
    """Equal, numbers up to one in the second decimal."""
    if isinstance(shown, float) and isinstance(printed, float):
        return abs(printed - shown) < 0.01
    if isinstance(shown, dict) and isinstance(printed, dict):
        return shown.keys() == printed.keys() and all(same(printed[key], shown[key]) for key in shown)
    if isinstance(shown, list) and isinstance(printed, list):
        return len(shown) == len(printed) and all(map(same, printed, shown))
    return printed == shown


def parsed(text: str) -> list[object]:
    """Words, the decimal fractions among them as numbers."""
    return [float(word) if re.fullmatch(r"\d+\.\d+", word) else word for word in text.split()]


@pytest.mark.parametrize("page", RUN, ids=lambda page: page.name)
def test_the_commands_of_a_page_print_what_it_shows(service: ServingProcess, page: Path) -> None:
    for block in commands(page):
        if block.text.startswith("make "):
            dry_run = ["make", "--dry-run", "--directory", str(ROOT), *block.text.split()[1:]]
            assert subprocess.run(dry_run, capture_output=True, check=True).stdout
            continue
        if block.text.startswith("docker "):
            continue  # the test below looks it up
        assert ADDRESS in block.text
        text = block.text.replace(ADDRESS, f"127.0.0.1:{service.port}")
        program = [sys.executable, "-c"] if block.language == "python" else ["bash", "-euo", "pipefail", "-c"]
        done = subprocess.run([*program, text], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        if block.shown is not None:
            language, shown = block.shown
            read = json.loads if language == "json" else parsed
            assert same(read(done.stdout), read(shown)), f"{text} printed {done.stdout}"


@pytest.mark.parametrize("page", [README, DOCS / "containers.md"], ids=lambda page: page.name)
def test_commands_of_docker_compose_name_profiles_and_services_that_there_are(page: Path) -> None:
    lines = "".join(block.text for block in commands(page)).splitlines()
    found = [shlex.split(line) for line in lines if line.startswith("docker ")]
    assert found
    for program, compose, *rest in found:
        assert (program, compose) == ("docker", "compose")
        profiles = {rest[place + 1] for place, word in enumerate(rest) if word == "--profile"}
        verb, *arguments = rest[2 * len(profiles) :]
        assert verb in {"up", "down", "run"}
        assert profiles <= {profile for service in SERVICES.values() for profile in service.get("profiles", [])}
        if verb == "run":
            name = next(word for word in arguments if not word.startswith("-"))
            assert set(SERVICES[name].get("profiles", [])) <= profiles


def test_the_readme_shows_what_a_reader_needs() -> None:
    """Guards the tests above against finding nothing to run."""
    texts = [block.text for block in commands(README)]
    assert [text for text in texts if text.startswith("docker ")] == ["docker compose up --detach --wait\n"]
    assert [text for text in texts if text.startswith("make ")] == ["make run\n", "make loadtest\n"]
    assert sum("curl" in text for text in texts) >= 2
    found = [block for page in RUN for block in commands(page)]
    assert sum(block.language == "python" for block in found) == 5
    assert sum(block.shown is not None for block in found) >= 12


@pytest.fixture
def own_models(tmp_path: Path) -> Path:
    """The folder that docs/own-model.md describes, with the reference classifier as somebody's own."""
    reference = ROOT / "model_repository"
    shutil.copytree(reference / "efficientnet_lite0_resize", tmp_path / "efficientnet_lite0_resize")
    for text in (block.text for block in blocks(DOCS / "own-model.md") if block.language == "protobuf"):
        (name,) = re.findall(r'^name: "(\w+)"$', text, re.MULTILINE)
        (tmp_path / name / "1").mkdir(parents=True)
        (tmp_path / name / "config.pbtxt").write_text(text, encoding="utf-8")
    shutil.copy(reference / "efficientnet_lite0_classify" / "1" / "model.onnx", tmp_path / "flowers_classify" / "1")
    return tmp_path


def test_a_model_of_your_own_is_served_as_the_page_says(own_models: Path) -> None:
    with serving("--model-repository", str(own_models)) as process:
        answer = process.ask("POST", "/v1/classify", (DOCS / "coffee.jpg").read_bytes())
    assert (answer.status, answer.json["model"], answer.labels[0]) == (200, "flowers", "espresso")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    missing = [link for link in links if not (page.parent / link).exists()]
    folders = "service|pipeline|benchmarks|loadtests|deploy|tests|docs|model_repository"
    named = re.findall(rf"`((?:{folders})/[\w./]*)`", text)
    missing += [path for path in named if not (ROOT / path).exists()]
    assert missing == []
    assert links or named


def test_the_page_on_architecture_says_where_everything_offline_is() -> None:
    page = (DOCS / "architecture.md").read_text(encoding="utf-8").partition("## The offline half")[2]
    package = ROOT / "pipeline" / "topfive_pipeline"
    modules = [path.relative_to(package).as_posix() for path in package.rglob("*.py") if path.name != "__init__.py"]
    assert [module for module in modules if f"`{module}`" not in page] == []


def test_the_page_on_architecture_says_where_everything_is() -> None:
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    modules = [path.relative_to(ROOT).as_posix() for path in (ROOT / "service").rglob("*.py")]
    unnamed = [module for module in modules if f"`{module}`" not in page]
    assert [module for module in unnamed if not module.endswith(("__init__.py", "__main__.py"))] == []
