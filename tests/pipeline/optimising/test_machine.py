"""Which kinds of integers are tried, and in which order."""

from __future__ import annotations

from pathlib import Path

import pytest

from topfive_pipeline.optimising import machine
from topfive_pipeline.optimising.machine import features, kinds


def test_with_vnni_unsigned_activations_come_first_and_weights_have_eight_bits() -> None:
    first, *others = kinds(("avx512_vnni",), machine="x86_64")
    assert (first.name, first.is_narrow) == ("U8S8", False)
    assert [kind.name for kind in others] == ["S8S8", "U8U8"]


def test_without_vnni_weights_have_seven_bits_lest_sums_overflow() -> None:
    assert [kind.name for kind in kinds((), machine="AMD64") if kind.is_narrow] == ["U8S8"]


def test_arm_multiplies_signed_bytes_first() -> None:
    assert [kind.name for kind in kinds(("asimddp",), machine="aarch64")] == ["S8S8", "U8S8", "U8U8"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("processor: 0\nflags\t\t: fpu avx512_vnni sse\n", ("avx512_vnni",)),
        ("Features\t: fp asimddp i8mm\n", ("asimddp", "i8mm")),
        ("flags: fpu avx512_vnni_of_another_name\n", ()),
        ("nothing", ()),
    ],
)
def test_features_are_what_linux_says(
    text: str, found: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(text, encoding="ascii")
    monkeypatch.setattr(machine, "_CPUINFO", tmp_path / "cpuinfo")
    assert features() == found


def test_a_system_that_says_nothing_has_no_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_CPUINFO", tmp_path / "none")
    assert features() == ()
