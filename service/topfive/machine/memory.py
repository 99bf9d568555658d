"""Finds how much memory this process may use: that of the machine, reduced by the limits of its control groups."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Final

from topfive.machine.control_groups import folders_of

logger = logging.getLogger("topfive")

_ROOT: Final = Path("/")
_FILES: Final = {2: "memory.max", 1: "memory.limit_in_bytes"}
"""By the version of control groups."""


def memory_limit(*, root: Path = _ROOT) -> int:
    """The most bytes that this process, with all that is in its group, may hold before the kernel ends something.

    `root` is the folder that `proc` and the mounts of the control groups are in.
    """
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [_read(folder / _FILES[version]) for version, folder in folders_of("memory", root)]
    return min([machine, *(limit for limit in limits if limit is not None)])


def _read(file: Path) -> int | None:
    """The limit of one group in bytes, None if it has none. Version 1 has a number beyond all memory instead."""
    try:
        text = file.read_text(encoding="ascii").strip()
        return None if text == "max" else int(text)
    except FileNotFoundError:
        return None  # the root group has no such file, nor has a group whose parent does not enable the controller
    except (OSError, ValueError) as error:
        logger.warning("the memory limit in %s cannot be read, and is left out of the metrics: %r", file, error)
        return None
