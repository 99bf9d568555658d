"""`make release VERSION=x.y.z`: checks the repository, and tags a release. See docs/releasing.md.

It reports all problems at once. Only without problems does it set the tag; it changes nothing else.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

BRANCH: Final = "main"
_VERSION: Final = re.compile(r"\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?")
_HEADING: Final = re.compile(r"^## (.+)$", re.MULTILINE)


def main(arguments: list[str], *, root: Path) -> int:
    """Check and tag the repository at `root`; return 0 if it is tagged, 1 for problems, 2 without a version."""
    if len(arguments) != 1 or not _VERSION.fullmatch(arguments[0]):
        sys.stderr.write("say which version, as make release VERSION=0.2.0\n")
        return 2
    version = arguments[0]
    wrong = list(problems(version, root=root))
    for text in wrong:
        sys.stderr.write(f"not released: {text}\n")
    if wrong:
        return 1
    _git(root, "tag", "--annotate", f"v{version}", "--cleanup=verbatim", "--message", _message(version, root=root))
    sys.stdout.write(f"tagged v{version}; docs/releasing.md says what comes next\n")
    return 0


def problems(version: str, *, root: Path) -> Iterator[str]:
    """Each problem that prevents the release of `version`, with what to do."""
    if changed := _git(root, "status", "--porcelain"):
        yield f"the working tree is not clean; commit or remove {', '.join(line[3:] for line in changed.splitlines())}"
    if (branch := _git(root, "rev-parse", "--abbrev-ref", "HEAD")) != BRANCH:
        yield f"this is the branch {branch}; releases are made on {BRANCH}"
    if _git(root, "tag", "--list", f"v{version}"):
        yield f"the tag v{version} is there already; a release is never changed, take the next version"
    yield from other_versions(version, root=root)
    sections = _sections(root)
    if not any(_is_of(version, title) for title in sections):
        yield f'CHANGELOG.md has no section "## {version} - <date>"; make it of what is under "## Unreleased"'
    elif not _section(version, root=root):
        yield f"the section {version} of CHANGELOG.md is empty; say what is new"
    if left := sections.get("Unreleased"):
        yield f"CHANGELOG.md has entries under Unreleased, from {left.splitlines()[0]!r} on; move them to {version}"


def other_versions(version: str, *, root: Path) -> Iterator[str]:
    """Each place that names another version. pyproject.toml names the file with the package's version."""
    pyproject = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    places = {
        pyproject["tool"]["hatch"]["version"]["path"]: r'^__version__ = "(.*)"$',
        "Dockerfile": r'org\.opencontainers\.image\.version="(.*)"',
    }
    for name, pattern in places.items():
        found = re.findall(pattern, (root / name).read_text(encoding="utf-8"), re.MULTILINE)
        if found != [version]:
            yield f"{name} says {', '.join(found) or 'no version'}; write {version}"


def _sections(root: Path) -> dict[str, str]:
    """The sections of CHANGELOG.md, by title."""
    _, *parts = _HEADING.split((root / "CHANGELOG.md").read_text(encoding="utf-8"))
    return {title.strip(): text.strip() for title, text in zip(parts[::2], parts[1::2], strict=True)}


def _is_of(version: str, title: str) -> bool:
    return re.fullmatch(rf"{re.escape(version)} - \d{{4}}-\d\d-\d\d", title) is not None


def _section(version: str, *, root: Path) -> str:
    return next((text for title, text in _sections(root).items() if _is_of(version, title)), "")


def _message(version: str, *, root: Path) -> str:
    return f"topfive {version}\n\n{_section(version, root=root)}\n"


def _git(root: Path, *command: str) -> str:
    done = subprocess.run(["git", *command], cwd=root, capture_output=True, text=True, check=True)  # noqa: S603, S607  # words of ours; git is where PATH says
    return done.stdout.rstrip("\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], root=Path(__file__).resolve().parents[1]))
