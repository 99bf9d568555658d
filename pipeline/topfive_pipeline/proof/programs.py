"""Programs that a proof starts and that must not outlive it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

_PROGRAM: Final = """\
import ctypes, os, sys
try:
    ctypes.CDLL(None).prctl(1, 15)
except (OSError, AttributeError):
    pass
if os.getppid() == int(sys.argv[1]):
    os.execvp(sys.argv[2], sys.argv[2:])
"""
"""1 is PR_SET_PDEATHSIG: Linux sends SIGTERM (15) when the parent ends, however it does. Exec keeps that."""


def ending_with(parent: int, command: Sequence[str]) -> list[str]:
    """`command` as one that gets SIGTERM when the process `parent`, who starts it, has ended."""
    return [sys.executable, "-I", "-S", "-c", _PROGRAM, str(parent), *command]
