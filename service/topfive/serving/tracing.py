"""Decides whether spans are made: if a setting asks for them, and only with the extra `otel`.

What lives here: that decision. What does not: the spans (`serving.spans`, which can be imported only with the extra).
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Final

from topfive.config.settings import Settings
from topfive.ground.errors import ConfigurationError
from topfive.serving.reporting import Tracing

_NEEDED: Final = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http.trace_exporter")


def check_tracing(settings: Settings) -> None:
    """Raise `ConfigurationError` if spans are asked for and cannot be made."""
    if settings.otlp_endpoint is not None and not all(_is_installed(name) for name in _NEEDED):
        raise ConfigurationError(
            "otlp_endpoint asks for spans, and OpenTelemetry's SDK is not installed: install the extra 'otel' "
            "(pip install 'topfive[otel]'), or leave TOPFIVE_OTLP_ENDPOINT (--otlp-endpoint) out"
        )


def make_tracing(settings: Settings, now: Callable[[], float]) -> Tracing | None:
    """What makes and sends spans, None without spans; raises as `check_tracing`. `now`: the clock of the reports."""
    check_tracing(settings)
    if settings.otlp_endpoint is None:
        return None
    from topfive.serving.spans import Spans

    return Spans(settings.otlp_endpoint, ratio=settings.trace_sample_ratio, now=now)


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # a package around it is missing
        return False
