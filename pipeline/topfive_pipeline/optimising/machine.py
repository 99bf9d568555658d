"""What the processor multiplies fast, and the kinds of eight-bit integers that are tried because of it.

What lives here: the processor's features, and the kinds in the order in which they are promising. What does not: the
measurement that decides (`measuring`), for a feature's name promises nothing of a certain network.
"""

from __future__ import annotations

import platform
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

Integer = Literal["uint8", "int8"]

_CPUINFO: Final = Path("/proc/cpuinfo")
_DOT_PRODUCTS: Final = ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")
"""Features that multiply bytes and sum 32-bit: VNNI and AMX of x86 (Linux's `cpufeatures.h`), dot products of Arm."""
_X86: Final = frozenset({"x86_64", "amd64"})


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of quantisation: the integers of activations and of weights.

    `is_narrow`: weights have seven bits. Without VNNI, x86 sums two products of U8 and S8 in 16 bits, which overflow
    with eight (ONNX Runtime's documentation of quantisation, "reduce_range").
    """

    name: str
    activations: Integer
    weights: Integer
    is_narrow: bool = False

    @property
    def top(self) -> int:
        """The highest level of a weight, above the one that stands for zero."""
        return 64 if self.is_narrow else 127


def features() -> tuple[str, ...]:
    """The processor's features that matter for bytes, by Linux's names; empty if it has none, or nobody says so."""
    try:
        lines = _CPUINFO.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return ()
    said = next((line for line in lines if line.lower().startswith(("flags", "features"))), "")
    words = set(said.partition(":")[2].split())
    return tuple(name for name in _DOT_PRODUCTS if name in words)


def kinds(there: Collection[str], *, machine: str | None = None) -> tuple[Kind, ...]:
    """The kinds to try on a processor with the features `there`, the most promising first.

    `machine`: the architecture, as `platform.machine()` names it; None for this one.
    """
    is_x86 = (machine or platform.machine()).lower() in _X86
    mixed = Kind("U8S8", "uint8", "int8", is_narrow=is_x86 and not there)
    signed, unsigned = Kind("S8S8", "int8", "int8"), Kind("U8U8", "uint8", "uint8")
    return (mixed, signed, unsigned) if is_x86 else (signed, mixed, unsigned)
