"""Which kinds of integers are tried, and in which order."""

from __future__ import annotations

from topfive_pipeline.optimising.machine import kinds


def test_with_vnni_unsigned_activations_come_first_and_weights_have_eight_bits() -> None:
    first, *others = kinds(("avx512_vnni",), machine="x86_64")
    assert (first.name, first.is_narrow) == ("U8S8", False)
    assert [kind.name for kind in others] == ["S8S8", "U8U8"]


def test_without_vnni_weights_have_seven_bits_lest_sums_overflow() -> None:
    assert [kind.name for kind in kinds((), machine="AMD64") if kind.is_narrow] == ["U8S8"]


def test_arm_multiplies_signed_bytes_first() -> None:
    assert [kind.name for kind in kinds(("asimddp",), machine="aarch64")] == ["S8S8", "U8S8", "U8U8"]
