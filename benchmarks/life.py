"""Counts the files, lines and calls of our code that one warm JPEG request passes.

`python -m benchmarks life` serves in this process. After a warm-up, a profile function on each thread counts the calls
of our functions (and resumptions of our coroutines) while one request is answered.
"""

from __future__ import annotations

import os
import runpy
import signal
import socket
import sys
import threading
from collections import Counter
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any, Final
from urllib.error import URLError
from urllib.request import Request, urlopen

ROOT: Final = Path(__file__).parent.parent
SERVICE: Final = str(ROOT / "service" / "topfive") + os.sep
PHOTO: Final = ROOT / "docs" / "coffee.jpg"
_WARM: Final = 20
_COUNTED: Final = 20

_calls: list[tuple[str, str]] = []
_is_counting = threading.Event()


def _count(frame: FrameType, event: str, _: Any) -> None:
    code = frame.f_code
    if event == "call" and _is_counting.is_set() and code.co_filename.startswith(SERVICE) and code.co_name[0] != "<":
        _calls.append((code.co_filename, code.co_qualname))


def _ask(url: str) -> None:
    with urlopen(Request(url, PHOTO.read_bytes())) as answer:  # noqa: S310  # it is ours
        answer.read()


def _visit(url: str) -> None:
    """Warm the service up, send the counted requests, print the report, and end the service."""
    try:
        for number in range(_WARM):
            while True:
                try:
                    _ask(url)
                    break
                except (URLError, ConnectionError):
                    assert number == 0, "the service went away"
        asked = []
        for _ in range(_COUNTED):
            _calls.clear()
            _is_counting.set()
            _ask(url)
            _is_counting.clear()
            asked.append(list(_calls))
        print(report(min(asked, key=len)), flush=True)  # longer ones include a timer of the service
    finally:
        os.kill(os.getpid(), signal.SIGTERM)


def report(calls: list[tuple[str, str]]) -> str:
    """A report of `calls`, given in their order as (file, function): the total, and the calls of each file."""
    by_file = Counter(file for file, _ in calls)
    lines = {file: len(Path(file).read_text().splitlines()) for file in by_file}
    changes = sum(before != after for (before, _), (after, _) in pairwise(calls))
    rows = [f"{by_file[file]:6d} calls  {lines[file]:5d} lines  {file.removeprefix(SERVICE)}" for file in lines]
    total = f"{len(by_file)} files, {sum(lines.values())} lines, {len(calls)} calls, {changes} changes of file"
    return "\n".join([*rows, total])


def main() -> None:
    """Print the files and the number of calls of our code that one warm JPEG request passes."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    threading.setprofile(_count)
    threading.Thread(target=_visit, args=[f"http://127.0.0.1:{port}/v1/classify"], daemon=True).start()
    sys.setprofile(_count)
    sys.argv = ["topfive", "--port", str(port), "--grpc-port", "0", "--log-level", "warning"]
    runpy.run_module("topfive", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
