"""The kinds of eight-bit integers that are tried on a processor, in the order in which they are promising.

What does not live here: what the processor has (`topfive.machine.cpu_features`), and the measurement that decides
(`measuring`), for a feature's name promises nothing of a certain network.
"""

from __future__ import annotations

import platform
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal

Integer = Literal["uint8", "int8"]

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


def kinds(there: Collection[str], *, machine: str | None = None) -> tuple[Kind, ...]:
    """The kinds to try on a processor with the features `there`, the most promising first.

    `machine`: the architecture, as `platform.machine()` names it; None for this one.
    """
    is_x86 = (machine or platform.machine()).lower() in _X86
    mixed = Kind("U8S8", "uint8", "int8", is_narrow=is_x86 and not there)
    signed, unsigned = Kind("S8S8", "int8", "int8"), Kind("U8U8", "uint8", "uint8")
    return (mixed, signed, unsigned) if is_x86 else (signed, mixed, unsigned)
