"""What the documentation says is so: its commands run and print what it shows, its links lead somewhere.

A `bash` or `python` block of the README is run, in order, against a running service; a `json` or
`text` block right after it is what it must print, numbers up to their last digits. Commands of `make` and of
`docker compose` are only looked up.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.settings_page import PAGE, settings_page
from tests.testkit.container_files import SERVICES
from tests.testkit.serving_process import ROOT, ServingProcess
from topfive.config.settings import Settings
from topfive.http.error_responses import STATUS
from topfive.repository.honoured_fields import HONOURED
from topfive.repository.model_config import parse_model_config

README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
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


@pytest.mark.parametrize("page", [README, ROOT / "docs" / "requests.md"], ids=lambda page: page.name)
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


@pytest.mark.parametrize("page", [README, ROOT / "docs" / "containers.md"], ids=lambda page: page.name)
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
    assert [text for text in texts if text.startswith("make ")] == ["make run\n", "make test\n", "make loadtest\n"]
    assert sum("curl" in text for text in texts) >= 3
    assert sum(block.language == "python" for block in commands(README)) == 2
    assert sum(block.shown is not None for block in commands(README)) >= 4


def test_the_readmes_model_configuration_can_be_served() -> None:
    texts = [block.text for block in blocks(README) if block.language == "protobuf"]
    assert [parse_model_config(text, name="flowers", where="README").name for text in texts] == ["flowers"]


def test_the_readmes_error_table_is_that_of_the_service() -> None:
    rows = re.findall(r"^\| (\d{3}) \| `(\w+)` \|", README.read_text(encoding="utf-8"), re.MULTILINE)
    served = {(str(status), error.code) for error, status in STATUS.items() if status != 499}
    assert set(rows) == served
    assert len(rows) == len(served)


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


def test_the_page_on_architecture_says_where_everything_is() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    modules = [path.relative_to(ROOT).as_posix() for path in (ROOT / "service").rglob("*.py")]
    unnamed = [module for module in modules if f"`{module}`" not in page]
    assert [module for module in unnamed if not module.endswith(("__init__.py", "__main__.py"))] == []


def test_the_page_of_settings_is_not_stale() -> None:
    assert PAGE.read_text(encoding="utf-8") == settings_page(), "run: python -m tests.settings_page"


def test_every_setting_says_what_it_is() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_every_field_that_a_model_configuration_may_have_is_documented() -> None:
    page = PAGE.read_text(encoding="utf-8")
    parents = {path.rpartition(".")[0] for path in HONOURED}  # allowed empty; their fields are listed
    assert [path for path in sorted(HONOURED - parents) if f"`{path}`" not in page] == []
    listed = re.findall(r"`([\w.]+)`", page.partition("## Of a model")[2].replace("\n", " "))
    dotted = {field for field in listed if "." in field and field != "model.onnx" and field != "config.pbtxt"}
    assert dotted - HONOURED == set()
