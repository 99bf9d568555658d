"""Puts a tuned config.pbtxt in the place of the one it was made of: whole or not at all."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from tempfile import mkstemp

from topfive.ground.errors import ConfigurationError
from topfive.repository.config_text import read_config
from topfive_pipeline.entry.locking import locked


def check_writable(path: Path) -> None:
    """Raise `ConfigurationError` unless `path` can be replaced: before minutes are spent on what to write."""
    if not os.access(path.parent, os.W_OK):
        raise ConfigurationError(
            f"{path.parent}: nothing can be written there; run it as a user who may, or with --dry-run to only see"
        )


def put(path: Path, text: str, *, instead_of: str) -> None:
    """Write `text` to `path`, aside and then by renaming, with the permissions that the file has.

    Raises `ConfigurationError` if it no longer holds `instead_of`, or cannot be written.
    """
    aside = ""
    try:
        with locked(path.parent):
            if read_config(path) != instead_of:
                raise ConfigurationError(
                    f"{path} was changed while its model was tuned, and is left as it is now; tune again"
                )
            file, aside = mkstemp(prefix=f".{path.name}.", dir=path.parent)
            with os.fdopen(file, "w", encoding="utf-8", newline="\n") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            shutil.copymode(path, aside)
            Path(aside).replace(path)
            aside = ""
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be written ({error.strerror or error}); it is as it was") from error
    finally:
        if aside:
            with suppress(OSError):
                Path(aside).unlink()
