"""Keys are compared in constant time, each is of its tenant, and none is shown."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topfive.access.accounts import Account
from topfive.access.api_keys import ApiKeys, unauthenticated
from topfive.access.tenants import Tenant

ONE = "correct-horse-battery-staple"
OTHER = "0123456789abcdef"
SOMEBODY = Tenant("somebody", account=Account(), now=float, utc=float)
printable = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=16, max_size=40)


def known_are(keys: Iterable[str]) -> ApiKeys:
    return ApiKeys(dict.fromkeys(keys, SOMEBODY))


@given(st.lists(printable, min_size=1, max_size=4, unique=True), st.data())
def test_every_key_is_known_and_nothing_near_it(keys: list[str], data: st.DataObject) -> None:
    known = known_are(keys)
    key = data.draw(st.sampled_from(keys))
    assert known.tenant_of(f"Bearer {key}") is SOMEBODY
    place = data.draw(st.integers(0, len(key) - 1))
    for near in (key[:-1], key + "x", key[:place] + "\x7f" + key[place + 1 :], key.swapcase(), ""):
        assert (known.tenant_of(f"Bearer {near}") is SOMEBODY) == (near in keys)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer "])
def test_the_scheme_is_of_any_case(scheme: str) -> None:
    assert known_are([ONE]).tenant_of(f"{scheme} {ONE}") is SOMEBODY


@pytest.mark.parametrize(
    "authorization",
    ["", ONE, f"Basic {ONE}", f"Bearer{ONE}", f"Bearer {ONE} {ONE}", f"Bearer {ONE},{OTHER}", "Bearer", "Bearer "],
)
def test_anything_else_is_not_known(authorization: str) -> None:
    assert known_are([ONE, OTHER]).tenant_of(authorization) is None


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
    known_are([ONE, OTHER, "a third key of some length"]).tenant_of(authorization)
    assert len(compared) == 3
    assert {len(value) for pair in compared for value in pair} == {32}


def test_a_key_is_not_kept() -> None:
    """What is held in memory, and what a debugger or a log would show, are digests."""
    known = known_are([ONE])
    assert ONE not in repr(vars(known))
    assert ONE not in str(unauthenticated())


def test_each_key_is_of_its_tenant_and_one_that_is_replaced_is_of_nobody() -> None:
    other = Tenant("other", account=Account(), now=float, utc=float)
    keys = ApiKeys({ONE: SOMEBODY, OTHER: other})
    assert [keys.tenant_of(f"Bearer {key}") for key in (ONE, OTHER)] == [SOMEBODY, other]
    keys.replace({OTHER: SOMEBODY})
    assert [keys.tenant_of(f"Bearer {key}") for key in (ONE, OTHER)] == [None, SOMEBODY]
