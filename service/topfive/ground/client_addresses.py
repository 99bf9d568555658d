"""Client addresses: the address that a request came from, or the one that a trusted proxy names."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

UNKNOWN: Final = "unknown"
"""The address of a request that came over no network."""


def read_networks(text: str) -> tuple[Network, ...]:
    """The comma-separated addresses and networks in `text`; raises `ValueError`, which names a part that is neither."""
    return tuple(ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip())


class ClientAddresses:
    """Finds the clients' addresses; `X-Forwarded-For` counts only from proxies in `trusted`: any client can send it."""

    def __init__(self, trusted: Iterable[Network] = ()) -> None:
        self._trusted = tuple(trusted)

    def find(self, peer: str | None, forwarded: str = "") -> str:
        """The address of the client of a request from `peer` with the X-Forwarded-For header `forwarded`.

        Each proxy appends the address of its own peer. So, from the end, the first address that is not a trusted
        proxy's is the client's.
        """
        if peer is None or (found := _read(peer)) is None:
            return UNKNOWN
        for entry in reversed(forwarded.split(",")) if self._trusted else ():
            if not self._trusts(found) or (before := _read(entry.strip())) is None:
                break
            found = before
        return str(found)

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def _read(text: str) -> Address | None:
    """The address in `text`, also in brackets or with a port, as some proxies write it; None if there is none."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
