"""What the environment and the command line say: the only module that reads the environment.

What lives here: settings made from both, and handed on to worker processes. What does not: which settings there are
(`config.settings`).
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from topfive.config.command_line import PREFIX, flag_of, read_flags, unknown_variables
from topfive.config.settings import Settings
from topfive.ground.errors import ConfigurationError

_SECRET: Final = re.compile(r"//[^@\s]+@(?!\s*[\d.]+\s*%)")
"""Name and password in a URL, which no message shows; what ends with @10% is the share of a shadow."""
_METRICS_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"


def load_settings(arguments: Sequence[str] | None = None) -> Settings:
    """Settings from `arguments` (flags, without the program's name) and the environment.

    Raises `ConfigurationError`, which names the setting, or the flag that does not exist.
    """
    fields = Settings.model_fields
    known = {PREFIX + name.upper() for name in fields}
    unknown = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)
    if unknown:
        raise ConfigurationError(unknown_variables(unknown, fields))
    flags: dict[str, Any] = {**read_flags(arguments or (), fields)}
    try:
        settings = Settings(**flags)
    except ValidationError as error:
        raise ConfigurationError("; ".join(_explain(detail) for detail in error.errors())) from error
    if settings.max_in_flight_bytes < settings.max_body_bytes:
        raise ConfigurationError("max_in_flight_bytes is below max_body_bytes, so the largest body could never enter")
    if (settings.backend == "triton") != (settings.triton_url is not None):
        raise ConfigurationError(
            "backend 'triton' and triton_url go together: set TOPFIVE_TRITON_URL to the host:port of Triton's gRPC, "
            "and only then TOPFIVE_BACKEND=triton"
        )
    if settings.workers > 1 and settings.model_control == "explicit":
        raise ConfigurationError(
            "model_control 'explicit' needs workers 1, for a request to load a model reaches one process only; let "
            "each look at the repository itself with 'poll'"
        )
    if settings.answer_cache_bytes and settings.backend == "triton":
        raise ConfigurationError(
            "answer_cache_bytes must be 0 with the backend 'triton': Triton may replace a model unseen, and answers of "
            "the old one would still be given; use Triton's own response cache (tritonserver --cache-config)"
        )
    return settings


def export_settings(settings: Settings, folder_for_metrics: str) -> None:
    """Pass `settings` on to worker processes, which read them from the environment.

    `folder_for_metrics` holds all processes' metrics; Prometheus' client library reads its name when it is imported.
    """
    for name in Settings.model_fields:
        if (value := getattr(settings, name)) is not None:
            os.environ[PREFIX + name.upper()] = str(value)
    os.environ[_METRICS_FOLDER] = folder_for_metrics


def named_temp_folder() -> str | None:
    """The folder for temporary files that the environment names, None if it names none."""
    return os.environ.get("TMPDIR") or None


def cache_folder() -> Path:
    """Where topfive may keep what it can fetch again: by XDG's rule, or among temporary files without a home."""
    named, home = os.environ.get("XDG_CACHE_HOME", ""), os.environ.get("HOME", "")
    if Path(named).is_absolute():
        return Path(named) / "topfive"
    if Path(home).is_absolute() and os.access(home, os.W_OK):
        return Path(home) / ".cache" / "topfive"
    return Path(tempfile.gettempdir()) / f"topfive-{os.getuid()}"


def wants_colours() -> bool:
    """Whether the environment allows colours on a terminal: see no-color.org."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def variable(name: str) -> str | None:
    """A variable that clients of another program agree on, as MLFLOW_TRACKING_URI; None if it is not set, or empty."""
    return os.environ.get(name) or None


def set_if_unset(values: Mapping[str, str]) -> None:
    """Set the variables of `values` that nobody has set, for a library that reads them when it is imported."""
    for name, value in values.items():
        os.environ.setdefault(name, value)


def shared_metrics_folder() -> str | None:
    """The folder with the metrics of all worker processes; None if one process serves alone."""
    return os.environ.get(_METRICS_FOLDER)


def _explain(detail: object) -> str:
    assert isinstance(detail, dict)
    name = ".".join(map(str, detail["loc"]))
    given = detail["input"]
    if name == "model_repository":
        given = str(given).partition("?")[0]  # a signed URL has its secret among its parameters
    said = f"setting {PREFIX}{name.upper()} ({flag_of(name)}) is {given!r}: {detail['msg']}"
    return _SECRET.sub("//…@", said)
