"""What the processor can do is what the kernel says of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from topfive.machine.cpu_features import dot_products_of_bytes, multiplies_bfloat16


@pytest.mark.parametrize(
    ("flags", "can"),
    [
        ("fpu avx2 avx512f avx512_bf16", True),
        ("amx_tile amx_bf16", True),
        ("avx512f avx512_vnni", False),
        ("not_avx512_bf16_at_all", False),
        ("", False),
    ],
)
def test_bfloat16_is_a_flag(tmp_path: Path, flags: str, can: bool) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nvendor_id\t: A\nflags\t\t: {flags}\n\nprocessor\t: 1\nflags\t\t: {flags}\n")
    assert multiplies_bfloat16(cpuinfo) is can


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("flags\t\t: fpu avx512_vnni avx_vnni sse", ("avx512_vnni", "avx_vnni")),
        ("Features\t: fp i8mm asimddp", ("asimddp", "i8mm")),
        ("flags\t\t: avx2 avx512_vnni_of_another_name", ()),
        ("model name\t: one with avx512_vnni", ()),
    ],
)
def test_dot_products_of_bytes_are_flags_of_x86_and_of_arm(tmp_path: Path, line: str, found: tuple[str, ...]) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{line}\n")
    assert dot_products_of_bytes(tmp_path / "cpuinfo") == found
    assert dot_products_of_bytes(tmp_path / "missing") == ()


def test_where_the_kernel_does_not_tell_it_cannot(tmp_path: Path) -> None:
    assert not multiplies_bfloat16(tmp_path / "missing")
    (tmp_path / "arm").write_text("processor\t: 0\nFeatures\t: fp asimd bf16\n")
    assert not multiplies_bfloat16(tmp_path / "arm")
