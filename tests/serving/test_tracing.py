"""Spans are made where a setting asks for them, and a missing extra is said at the start."""

from __future__ import annotations

import subprocess
import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.testkit.serving_process import ServingProcess
from topfive.config.settings import Settings
from topfive.ground.errors import ConfigurationError
from topfive.serving import tracing
from topfive.serving.spans import Spans
from topfive.serving.tracing import check_tracing, make_tracing


def now() -> float:
    return 0.0


def test_without_the_setting_nothing_is_made_or_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "find_spec", lambda name: pytest.fail("was asked for"))
    assert make_tracing(Settings(), now) is None


async def test_with_the_setting_spans_are_made() -> None:
    made = make_tracing(Settings(otlp_endpoint="http://127.0.0.1:9"), now)
    assert isinstance(made, Spans)
    await made.close(seconds=60)


@pytest.mark.parametrize("missing", ["opentelemetry", "opentelemetry.sdk", "opentelemetry.exporter.otlp"])
def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    def found(name: str) -> ModuleSpec | None:
        if name.startswith(missing):
            raise ModuleNotFoundError(name)
        return find_spec(name)

    monkeypatch.setattr(tracing, "find_spec", found)
    with pytest.raises(ConfigurationError, match=r"topfive\[otel\]"):
        check_tracing(Settings(otlp_endpoint="http://127.0.0.1:9"))


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_process_ends_with_2_and_says_it_once(tmp_path: Path, workers: str) -> None:
    """Also with several workers, of which none is started."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['opentelemetry.sdk'] = None\n")
    flags = ("--backend", "null", "--otlp-endpoint", "http://127.0.0.1:9", "--workers", workers)
    with ServingProcess(*flags, environment={"PYTHONPATH": str(tmp_path)}) as process:
        assert process.wait() == 2
    assert len([line for line in process.log if "topfive[otel]" in line]) == 1
    assert "Traceback" not in "".join(process.log)


@pytest.mark.parametrize(
    "endpoint", ["collector:4318", "grpc://collector:4317", "http://", "http://a b/", "http://a/?b"]
)
def test_what_is_no_url_is_refused(endpoint: str) -> None:
    with pytest.raises(ValueError, match="otlp_endpoint"):
        Settings(otlp_endpoint=endpoint)


def test_a_service_that_sends_no_spans_does_not_import_the_extra() -> None:
    """FastAPI imports OpenTelemetry's API by itself."""
    program = (
        "import sys; from topfive.app import create_serving; from topfive.config.settings import Settings; "
        "create_serving(Settings(backend='null'), on_fatal=lambda: None); "
        "sys.exit(any(name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter')) for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
