"""Keys are read strictly, compared in constant time, and never shown."""

from __future__ import annotations

import hmac
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topfive.access.api_keys import ApiKeys, read_api_keys, unauthenticated
from topfive.ground.errors import ConfigurationError

ONE = "correct-horse-battery-staple"
OTHER = "0123456789abcdef"
printable = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=16, max_size=40)


@given(st.lists(printable, min_size=1, max_size=4, unique=True), st.data())
def test_every_key_is_known_and_nothing_near_it(keys: list[str], data: st.DataObject) -> None:
    known = ApiKeys(keys)
    key = data.draw(st.sampled_from(keys))
    assert known.is_known(f"Bearer {key}")
    place = data.draw(st.integers(0, len(key) - 1))
    for near in (key[:-1], key + "x", key[:place] + "\x7f" + key[place + 1 :], key.swapcase(), ""):
        assert known.is_known(f"Bearer {near}") == (near in keys)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer "])
def test_the_scheme_is_of_any_case(scheme: str) -> None:
    assert ApiKeys([ONE]).is_known(f"{scheme} {ONE}")


@pytest.mark.parametrize(
    "authorization",
    ["", ONE, f"Basic {ONE}", f"Bearer{ONE}", f"Bearer {ONE} {ONE}", f"Bearer {ONE},{OTHER}", "Bearer", "Bearer "],
)
def test_anything_else_is_not_known(authorization: str) -> None:
    assert not ApiKeys([ONE, OTHER]).is_known(authorization)


@pytest.mark.parametrize("authorization", [f"Bearer {ONE}", f"Bearer {OTHER}", "Bearer wrong", "", f"Basic {ONE}"])
def test_all_keys_are_compared_in_constant_time_whatever_is_given(
    monkeypatch: pytest.MonkeyPatch, authorization: str
) -> None:
    """By hmac, on digests of one length, to the last one: neither the time nor the number tells anything."""
    compared: list[tuple[Any, Any]] = []

    def compare(one: Any, other: Any) -> bool:
        compared.append((one, other))
        return hmac_compare(one, other)

    hmac_compare = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", compare)
    ApiKeys([ONE, OTHER, "a third key of some length"]).is_known(authorization)
    assert len(compared) == 3
    assert {len(value) for pair in compared for value in pair} == {32}


def test_a_key_is_not_kept() -> None:
    """What is held in memory, and what a debugger or a log would show, are digests."""
    known = ApiKeys([ONE])
    assert ONE not in repr(vars(known))
    assert ONE not in str(unauthenticated())


@given(st.lists(printable.filter(lambda key: not key.startswith("#")), min_size=1, max_size=4))
def test_a_file_holds_one_key_a_line(keys: list[str]) -> None:
    text = "# keys of the service\n\n" + "".join(f"  {key}\t\r\n\n#{key}\n" for key in keys)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "keys"
        path.write_bytes(text.encode())
        assert read_api_keys(path) == keys


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "holds no key"),
        (b"\n \n# only a comment\n", "holds no key"),
        (b"short\n", "key 1 must have at least 16 printable characters"),
        (ONE.encode() + b"\nfifteen-letters\n", "key 2 must have"),
        (b"sixteen letters with blanks\n", "key 1 must have"),
        (b"tab\tinside-the-key-here\n", "key 1 must have"),
        (b"control\x01inside-the-key\n", "key 1 must have"),
        ("schlüssel-der-lang-genug-ist\n".encode(), "cannot be read"),
        (b"\xef\xbb\xbf" + ONE.encode(), "cannot be read"),
        (b"\xff\xfe" + ONE.encode("utf-16-le"), "cannot be read"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(tmp_path: Path, content: bytes | None, says: str) -> None:
    """With its path, the setting's name and the number of the key; never with the key."""
    path = tmp_path / "keys"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=says) as refusal:
        read_api_keys(path)
    message = str(refusal.value)
    assert message.startswith(f"api_keys_file '{path}'")
    assert all(word not in message for word in ("horse", "fifteen", "sixteen", "inside", "schl"))


def test_a_folder_is_no_file_of_keys(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_api_keys(tmp_path)
