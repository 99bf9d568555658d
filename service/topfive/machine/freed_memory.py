"""Gives memory that was freed back to the system."""

from __future__ import annotations

import ctypes


def give_back_freed_memory() -> None:
    """Return freed memory to the system."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):  # only glibc has it; it would else keep memory that other threads freed
        libc.malloc_trim(0)
