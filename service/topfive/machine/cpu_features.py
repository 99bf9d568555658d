"""What the processor can do that not all can: read from the kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_CPUINFO: Final = Path("/proc/cpuinfo")
_BFLOAT16: Final = frozenset({"amx_bf16", "avx512_bf16"})
"""The flags of instructions that multiply bfloat16 numbers, as Linux names them."""
DOT_PRODUCTS: Final = ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")
"""The flags of instructions that multiply bytes and sum the products in 32 bits, as Linux names them: VNNI and AMX of
x86 (`cpufeatures.h`), dot products and matrix products of Arm (`hwcap.h`)."""


def multiplies_bfloat16(cpuinfo: Path = _CPUINFO) -> bool:
    """Whether the processor multiplies bfloat16 numbers itself; False where the kernel does not tell."""
    return not _BFLOAT16.isdisjoint(_flags(cpuinfo, "flags"))


def dot_products_of_bytes(cpuinfo: Path = _CPUINFO) -> tuple[str, ...]:
    """Those of `DOT_PRODUCTS` that the processor has; none where the kernel does not tell."""
    flags = _flags(cpuinfo, "flags", "Features")
    return tuple(name for name in DOT_PRODUCTS if name in flags)


def _flags(cpuinfo: Path, *titles: str) -> frozenset[str]:
    """The words of the first line that begins with one of `titles`: x86 has `flags`, Arm `Features`."""
    try:
        lines = cpuinfo.read_text(errors="replace").splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line.partition(":")[2].split() for line in lines if line.startswith(titles)), []))
