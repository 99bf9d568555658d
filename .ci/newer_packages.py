"""What an index has in a year: of every package in requirements/*.txt a version that is newer than the lock's.

`python .ci/newer_packages.py FOLDER` writes them, as wheels of nothing, for `PIP_FIND_LINKS`. An installation that has
taken one of them has resolved something that the locks do not say.
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
    # pip itself, which no lock names, may be whatever the machine has.
    names = {name for lock in locks for name in LOCKED.findall(lock.read_text(encoding="utf-8"))}
    for name in names:
        write_wheel(folder, re.sub(r"[-_.]+", "_", name).lower())
    print(f"{len(names)} packages in version {VERSION}")


def write_wheel(folder: Path, name: str) -> None:
    """A wheel that holds nothing but its own description."""
    described = f"{name}-{VERSION}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{VERSION}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{described}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {VERSION}\n")
        wheel.writestr(f"{described}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{described}/RECORD", f"{described}/METADATA,,\n{described}/WHEEL,,\n{described}/RECORD,,\n")


if __name__ == "__main__":
    main()
