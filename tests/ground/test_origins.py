"""A page of another site is told from our own pages and from programs that are no browser."""

from __future__ import annotations

import pytest

from topfive.ground.origins import is_foreign

SHOP = "https://shop.example"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "same-origin", "origin": "https://a.example", "host": "replica:8000"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "cross-site", "origin": SHOP},
        {"origin": SHOP, "host": "a.example"},
        {"origin": "http://a.example:8000", "host": "A.example:8000"},
        {"origin": "https://a.example", "host": "a.example:443"},
        {"origin": "http://[::1]", "host": "[::1]:80"},
        {"origin": "https://a.example", "host": "replica:8000", "x-forwarded-host": "a.example"},
    ],
)
def test_programs_our_own_pages_and_those_that_are_let_in_are_not_foreign(headers: dict[str, str]) -> None:
    """Also behind a proxy that ends TLS, or that asks by another name than the browser did."""
    assert not is_foreign(headers, {SHOP})


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": "https://b.a.example", "host": "b.a.example"},
        {"sec-fetch-site": "cross-site", "origin": "null"},
        {"origin": "null", "host": "a.example"},
        {"origin": "null"},
        {"origin": "http://evil.example", "host": "a.example", "x-forwarded-host": ""},
        {"origin": "http://a.example:8001", "host": "a.example:8000"},
        {"origin": "https://a.example.evil", "host": "a.example"},
    ],
)
def test_other_pages_are_unless_all_are_let_in(headers: dict[str, str]) -> None:
    assert is_foreign(headers, {SHOP})
    assert not is_foreign(headers, {"*"})
