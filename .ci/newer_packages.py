"""Imitates next year's package index: an empty wheel, newer than the lock's, of each package in requirements/*.txt.

`python .ci/newer_packages.py FOLDER` writes the wheels, for `PIP_FIND_LINKS`. If an installation takes one of them, it
has installed a version that the locks do not name.
"""

from __future__ import annotations

import re
import sys
import zipfile
from pathlib import Path

VERSION = "9999.0"
LOCKED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[.*?\])?==", re.MULTILINE)


def main() -> None:
    """See above."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    locks = Path(__file__).resolve().parent.parent.joinpath("requirements").glob("*.txt")
    # No lock names pip itself, so it may have any version.
    names = {name for lock in locks for name in LOCKED.findall(lock.read_text(encoding="utf-8"))}
    for name in names:
        write_wheel(folder, re.sub(r"[-_.]+", "_", name).lower())
    print(f"{len(names)} packages in version {VERSION}")


def write_wheel(folder: Path, name: str) -> None:
    """Write a wheel that contains only its own metadata."""
    described = f"{name}-{VERSION}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{VERSION}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{described}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {VERSION}\n")
        wheel.writestr(f"{described}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{described}/RECORD", f"{described}/METADATA,,\n{described}/WHEEL,,\n{described}/RECORD,,\n")


if __name__ == "__main__":
    main()
