"""What is being measured is there for the real Prometheus, by the deployed configuration, and gone when it is over."""

from __future__ import annotations

import urllib.request

from loadtests.marks import METRIC, Marks


def asked(marks: Marks) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{marks.port}/metrics") as answer:
        text: str = answer.read().decode()
        return text


def test_there_is_a_sample_only_while_something_is_measured() -> None:
    with Marks(port=0, run="nightly", host="127.0.0.1") as marks:
        assert f"\n{METRIC}{{" not in asked(marks)
        marks.phase = 'random × 8 "quick"\n'
        assert f'\n{METRIC}{{run="nightly",phase="random × 8 \\"quick\\"\\n"}} 1\n' in asked(marks)
        marks.phase = ""
        assert f"\n{METRIC}{{" not in asked(marks)
