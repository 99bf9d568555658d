"""The client is who connected, unless that is a trusted proxy which says for whom."""

from __future__ import annotations

import pytest

from topfive.ground.client_addresses import UNKNOWN, ClientAddresses, read_networks

TRUSTED = read_networks("10.0.0.0/8, 192.168.0.1, ::1")


@pytest.mark.parametrize("forwarded", ["", "1.2.3.4", "garbage"])
def test_nobody_is_believed_by_default(forwarded: str) -> None:
    assert ClientAddresses().find("10.0.0.1", forwarded) == "10.0.0.1"


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "1.2.3.4", "1.2.3.4"),
        ("8.8.8.8", "1.2.3.4", "8.8.8.8"),
        # What the client wrote itself stands before what the proxies wrote.
        ("10.0.0.1", "6.6.6.6, 1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", "6.6.6.6,1.2.3.4 , 10.3.3.3,192.168.0.1", "1.2.3.4"),
        ("10.0.0.1", "10.0.0.7", "10.0.0.7"),
        ("10.0.0.1", "1.2.3.4, <script>", "10.0.0.1"),
        ("10.0.0.1", "1.2.3.4, , 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "1.2.3.4:5678", "1.2.3.4"),
        ("::1", "[2001:db8::7]:99", "2001:db8::7"),
        ("[::1]:80", "2001:db8::7", "2001:db8::7"),
        ("::ffff:10.0.0.1", "::ffff:1.2.3.4", "1.2.3.4"),
        ("10.0.0.1:4711", "1.2.3.4", "1.2.3.4"),
    ],
)
def test_the_last_that_no_trusted_proxy_has_is_the_client(peer: str, forwarded: str, client: str) -> None:
    assert ClientAddresses(TRUSTED).find(peer, forwarded) == client


@pytest.mark.parametrize("peer", [None, "", "/run/topfive.sock"])
def test_what_came_over_no_network_has_no_address(peer: str | None) -> None:
    assert ClientAddresses(TRUSTED).find(peer, "1.2.3.4") == UNKNOWN


def test_no_networks_are_none() -> None:
    assert read_networks(" , ") == ()
