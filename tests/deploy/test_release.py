"""A release is tagged if nothing was forgotten; each thing that was is named, and then nothing is changed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from deploy.release import main, other_versions
from tests.testkit.serving_process import ROOT
from topfive import __version__

CHANGELOG: Final = (
    "# Changelog\n\n## Unreleased\n\n## 0.2.0 - 2026-11-26\n\n### Added\n\n- A door.\n\n## 0.1.0 - 2026-01-01\n"
)
PYPROJECT: Final = '[tool.hatch.version]\npath = "package/__init__.py"\n'


def git(root: Path, *command: str) -> str:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.invalid", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *identity, *command], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(root: Path) -> None:
    git(root, "add", "--all")
    git(root, "commit", "--allow-empty", "--message", "x")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository that is ready for 0.2.0."""
    for name in ("GIT_AUTHOR", "GIT_COMMITTER"):
        monkeypatch.setenv(f"{name}_NAME", "Test")
        monkeypatch.setenv(f"{name}_EMAIL", "test@example.invalid")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    (tmp_path / "package").mkdir()
    for name, text in {
        "CHANGELOG.md": CHANGELOG,
        "Dockerfile": 'LABEL org.opencontainers.image.version="0.2.0"\n',
        "package/__init__.py": '__version__ = "0.2.0"\n',
        "pyproject.toml": PYPROJECT,
    }.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    git(tmp_path, "init", "--initial-branch", "main")
    commit(tmp_path)
    return tmp_path


def replaced(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        text = (root / name).read_text(encoding="utf-8")
        assert old in text
        (root / name).write_text(text.replace(old, new), encoding="utf-8")
        commit(root)

    return change


def test_what_is_ready_is_tagged_with_its_changes(root: Path) -> None:
    assert main(["0.2.0"], root=root) == 0
    assert git(root, "tag", "--list") == "v0.2.0"
    assert git(root, "cat-file", "-t", "v0.2.0") == "tag"
    assert git(root, "rev-parse", "v0.2.0^{commit}") == git(root, "rev-parse", "main")
    message = git(root, "tag", "--list", "--format=%(contents)", "v0.2.0")
    assert message == "topfive 0.2.0\n\n### Added\n\n- A door."


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda root: (root / "new.txt").write_text("x"), "not clean; commit or remove new.txt"),
        (lambda root: git(root, "switch", "--create", "other"), "the branch other"),
        (lambda root: git(root, "tag", "v0.2.0"), "v0.2.0 is there already"),
        (replaced("package/__init__.py", "0.2.0", "0.1.9"), "package/__init__.py says 0.1.9; write 0.2.0"),
        (replaced("Dockerfile", "0.2.0", "0.1.9"), "Dockerfile says 0.1.9; write 0.2.0"),
        (replaced("Dockerfile", "version", "title"), "Dockerfile says no version; write 0.2.0"),
        (replaced("CHANGELOG.md", "## 0.2.0 - 2026-11-26", "## 0.2.1 - 2026-11-26"), 'no section "## 0.2.0 - <date>"'),
        (replaced("CHANGELOG.md", " - 2026-11-26", ""), 'no section "## 0.2.0 - <date>"'),
        (replaced("CHANGELOG.md", "### Added\n\n- A door.\n", ""), "the section 0.2.0 of CHANGELOG.md is empty"),
        (replaced("CHANGELOG.md", "Unreleased\n", "Unreleased\n\n- A window.\n"), "entries under Unreleased"),
    ],
)
def test_what_was_forgotten_is_named_and_nothing_is_tagged(
    root: Path, change: Callable[[Path], object], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    change(root)
    before = git(root, "tag", "--list")
    assert main(["0.2.0"], root=root) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("not released: ")
    assert complaint in line
    assert git(root, "tag", "--list") == before


def test_all_that_was_forgotten_is_named_at_once(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["0.3.0"], root=root) == 1
    lines = capsys.readouterr().err
    assert all(name in lines for name in ("package/__init__.py", "Dockerfile", "CHANGELOG.md"))


@pytest.mark.parametrize("arguments", [[], ["next"], ["v0.2.0"], ["0.2"], ["0.2.0", "0.3.0"]])
def test_without_a_version_nothing_is_done(
    root: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments, root=root) == 2
    assert "VERSION=0.2.0" in capsys.readouterr().err
    assert git(root, "tag", "--list") == ""


def test_the_places_of_the_version_are_those_of_this_repository() -> None:
    """Guards the list of places: in this repository, both name the version that it has."""
    found = list(other_versions("99.0.0", root=ROOT))
    assert [text.partition(" says ")[2] for text in found] == [f"{__version__}; write 99.0.0"] * 2
