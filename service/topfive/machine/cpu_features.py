"""What the processor can do that not all can: read from the kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_CPUINFO: Final = Path("/proc/cpuinfo")
_BFLOAT16: Final = frozenset({"amx_bf16", "avx512_bf16"})
"""The flags of instructions that multiply bfloat16 numbers, as Linux names them."""


def multiplies_bfloat16(cpuinfo: Path = _CPUINFO) -> bool:
    """Whether the processor multiplies bfloat16 numbers itself; False where the kernel does not tell."""
    try:
        lines = cpuinfo.read_text(errors="replace").splitlines()
    except OSError:
        return False
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])
    return not _BFLOAT16.isdisjoint(flags)
