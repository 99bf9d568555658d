"""An access log becomes the arrivals that it tells of, whichever of three formats it has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pipeline.planning.given import JPEG, RAW
from topfive.ground.errors import ConfigurationError
from topfive_pipeline.planning.traces import Request, Trace, read

OURS = {"level": "info", "logger": "topfive.request", "route": "/v1/classify", "status": 200, "images": 1}


def ours(second: float, **more: Any) -> str:
    """A line of topfive's log, of a request that ended at `second` past midnight."""
    minutes, rest = divmod(second, 60)
    return json.dumps({"time": f"2026-01-02T00:{int(minutes):02d}:{rest:06.3f}Z", **OURS, **more})


def written(tmp_path: Path, *lines: str) -> Path:
    file = tmp_path / "access.log"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def test_our_own_log_has_the_time_at_which_requests_began(tmp_path: Path) -> None:
    lines = [ours(number * 0.1, total_seconds=0.05, body_bytes=40_000) for number in range(1, 201)]
    trace = read(written(tmp_path, *lines, ours(1, route="/v2/models/{model}"), '{"logger": "topfive"}', "no line"))
    assert len(trace.requests) == 200 + 1  # the infer route begins like that
    assert trace.skipped == 2
    assert trace.requests[1].seconds == pytest.approx(0.1, abs=1e-5)


def test_a_proxys_log_is_read_too(tmp_path: Path) -> None:
    nginx = json.dumps(
        {"time": "2026-01-02T00:00:07+00:00", "request": "POST /v1/classify?model=m HTTP/1.1", "status": 200}
        | {"body_bytes": 150_900, "total_seconds": 0.02}
    )
    combined = '1.2.3.4 - - [02/Jan/2026:00:00:08 +0000] "POST /v2/models/m/infer HTTP/1.1" 200 512 "-" "-"'
    other = '1.2.3.4 - - [02/Jan/2026:00:00:08 +0000] "GET /metrics HTTP/1.1" 200 512 "-" "-"'
    trace = read(written(tmp_path, *[nginx] * 60, *[combined] * 60, other))
    assert (len(trace.requests), trace.skipped) == (120, 1)
    assert [trace.requests[0].nbytes, trace.requests[-1].nbytes] == [150_900, 0]
    assert not trace.requests[-1].is_exact


def test_each_image_is_of_the_kind_that_is_nearest_in_size() -> None:
    trace = Trace([Request(0.0, 45_000), Request(0.1, 140_000), Request(0.2, 300_000, images=2), Request(0.5, 0)])
    kinds = [kind.name for _, kind in trace.arrivals([RAW, JPEG])]
    assert kinds[:4] == ["jpeg", "raw", "raw", "raw"]
    assert len(kinds) == 5


def test_it_can_be_played_faster() -> None:
    trace = Trace([Request(0.0), Request(10.0)])
    assert [due for due, _ in trace.arrivals([RAW], times=4)] == [0.0, 2.5]


def test_of_a_long_log_the_busiest_stretch_counts(tmp_path: Path) -> None:
    quiet = [ours(number) for number in range(120)]
    busy = [ours(200 + number * 0.01) for number in range(150)]
    trace = read(written(tmp_path, *quiet, *busy), most=150)
    assert trace.seconds == pytest.approx(1.49)
    assert trace.rate == pytest.approx(100, rel=0.02)


@pytest.mark.parametrize("lines", [(), ("no log",), tuple([ours(1)] * 99)])
def test_too_little_to_plan_by_is_refused(tmp_path: Path, lines: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError, match="too few to plan by"):
        read(written(tmp_path, *lines))


def test_a_log_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"--trace .*none\.log: cannot be read"):
        read(tmp_path / "none.log")


@settings(max_examples=25)
@given(st.lists(st.text(max_size=80) | st.just(ours(3)), max_size=20))
def test_no_line_breaks_it(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    file = written(tmp_path_factory.mktemp("log"), *lines, *[ours(1)] * 100)
    assert len(read(file).requests) >= 100
