"""What the processor can do that not all can: read from the kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_CPUINFO: Final = Path("/proc/cpuinfo")
_TITLES: Final = ("flags", "Features")
"""With which the line of a processor begins: on x86, and on Arm."""
_BFLOAT16: Final = frozenset({"amx_bf16", "avx512_bf16"})
"""The flags of instructions that multiply bfloat16 numbers, as Linux names them."""
DOT_PRODUCTS: Final = ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")
"""The flags of instructions that multiply bytes and sum the products in 32 bits, as Linux names them: VNNI and AMX of
x86 (`cpufeatures.h`), dot products and matrix products of Arm (`hwcap.h`)."""


def multiplies_bfloat16(cpuinfo: Path = _CPUINFO) -> bool:
    """Whether the processor multiplies bfloat16 numbers itself; False where the kernel does not tell."""
    return not _BFLOAT16.isdisjoint(flags(cpuinfo))


def dot_products_of_bytes(cpuinfo: Path = _CPUINFO) -> tuple[str, ...]:
    """Those of `DOT_PRODUCTS` that the processor has; none where the kernel does not tell."""
    found = flags(cpuinfo)
    return tuple(name for name in DOT_PRODUCTS if name in found)


def flags(cpuinfo: Path = _CPUINFO) -> frozenset[str]:
    """All that the processor can do, as Linux names it; none where the kernel does not tell."""
    try:
        lines = cpuinfo.read_text(errors="replace").splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line.partition(":")[2].split() for line in lines if line.startswith(_TITLES)), []))
