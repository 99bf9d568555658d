"""What a GPU does is asked of nvidia-smi, if there is one; a service that ends while it is watched is said to."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipeline.profiling.test_stacks import program
from tests.pipeline.profiling.test_stages import exposition
from topfive.ground.errors import ConfigurationError
from topfive_loadgen.metrics import Reading
from topfive_pipeline.profiling import window
from topfive_pipeline.under_load import server


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("echo 37; echo 80", 0.8),
        ("echo '[N/A]'", None),
        ("echo 'No devices were found'; exit 6", None),
    ],
)
def test_the_busiest_gpu_counts(text: str, share: float | None, tmp_path: Path) -> None:
    smi = program(tmp_path, text)
    assert window.gpu_share(which=lambda _: smi) == share


def test_without_nvidia_smi_there_is_no_gpu() -> None:
    assert window.gpu_share(which=lambda _: None) is None


def test_a_service_that_ends_meanwhile_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answers = [exposition(answered=1)]

    def metrics(_: str) -> Reading:
        if not answers:
            raise ConnectionRefusedError
        return answers.pop()

    monkeypatch.setattr(server, "metrics", metrics)
    with pytest.raises(ConfigurationError, match="the service ended, or answers no more, while it was watched"):
        window.watch("http://127.0.0.1:9", None, seconds=1, sleep=lambda _: None, root=tmp_path)


def test_gauges_are_looked_at_between_the_ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A service whose process is elsewhere is watched by its metrics alone."""
    busy = iter(range(1000))
    monkeypatch.setattr(server, "metrics", lambda _: exposition(answered=next(busy)))
    monkeypatch.setattr(window, "_EVERY", 0.01)
    seen = window.watch("http://127.0.0.1:9", None, seconds=0.05, root=tmp_path)
    assert (seen.first.processes, seen.last.machine) == ({}, None)
    assert len(seen.gauges) >= 1
    assert seen.change.last is seen.gauges[-1]
    assert seen.change.last.at > seen.change.first.at
    assert seen.own_cpu >= 0
