"""Tenants: those who hold API keys. All keys of one name are one tenant, and share its limits and its turns.

What lives here: the tenants of the process, and what each may spend now. What does not: the file of keys
(`access.key_file`), the arithmetic (`access.spending`), and who goes first under overload (`batching.sharing`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from topfive.access.accounts import Account
from topfive.access.spending import Limits, Spent, give_back, spend, used_of
from topfive.ground.errors import QuotaExceeded, RateLimited

UNNAMED: Final = "default"
"""The tenant of all keys without a name."""


class Tenant:
    """One tenant; its `limits` are those of the file of keys as it was last read.

    `shares`: itself while there are others to share the service with, else None: a single tenant waits in the queue
    as if there were no keys.
    """

    __slots__ = ("_account", "_now", "_utc", "limits", "name", "shares", "weight")

    def __init__(self, name: str, *, account: Account, now: Callable[[], float], utc: Callable[[], float]) -> None:
        self.name = name
        self.limits = Limits()
        self.weight = 1
        self.shares: Tenant | None = None
        self._account = account
        self._now = now
        self._utc = utc

    def __repr__(self) -> str:
        return f"<Tenant {self.name}>"

    def check(self, images: int) -> None:
        """Raise what `spend` would raise now; spend nothing.

        This happens before each request's body, so the shared file is only looked at before anything is refused.
        """
        if self.limits.bounded:
            try:
                self._spent(self._account.last, images)
            except (RateLimited, QuotaExceeded):
                self._spent(self._account.look(), images)

    def spend(self, images: int) -> int:
        """Spend so many images; raises `RateLimited`, `QuotaExceeded` or `TooLarge`, and then spends nothing.

        Returns the window of the quota in which they count, for `give_back`.
        """
        if not self.limits.bounded:
            return 0
        return self._account.change(partial(self._spent, images=images)).window

    def give_back(self, images: int, since: int) -> None:
        """Undo `spend` for images that were refused after all, or that failed by no fault of the client."""
        limits = self.limits
        if limits.bounded:
            self._account.change(lambda spent: give_back(limits, spent, images, since=since))

    def bounded_priority(self, level: int, levels: int) -> int:
        """The level of a request that would have `level` of so many: never better than this tenant's."""
        return max(level, min(self.limits.priority, levels))

    @property
    def quota_used(self) -> float | None:
        """The share of the quota that is used; None without a quota."""
        limits = self.limits
        return None if limits.quota is None else used_of(limits, self._account.look(), self._utc()) / limits.quota

    def _spent(self, spent: Spent, images: int) -> Spent:
        return spend(self.limits, spent, images, now=self._now(), utc=self._utc())


class Tenants:
    """All tenants of the process, by name; their accounts are files in `folder`, or in memory if that is None.

    A tenant that leaves the file and comes back finds its account as it was.
    """

    def __init__(
        self,
        *,
        folder: Path | None = None,
        now: Callable[[], float] = time.monotonic,
        utc: Callable[[], float] = time.time,  # noqa: TID251  # quotas begin by the calendar
    ) -> None:
        self._folder = folder
        self._now = now
        self._utc = utc
        self._known: dict[str, Tenant] = {}
        self.current: tuple[Tenant, ...] = ()
        """The tenants that the file names now."""

    def replace(self, limits: Mapping[str, Limits]) -> Mapping[str, Tenant]:
        """Put `limits` in force, by name; returns the tenants of these names. May be called on any thread."""
        found = {name: self._known.get(name) or self._new(name) for name in limits}  # raises before anything changes
        self._known.update(found)
        for name, tenant in found.items():
            tenant.limits = limits[name]
            tenant.weight = limits[name].weight
            tenant.shares = tenant if len(found) > 1 else None
        self.current = tuple(found.values())
        return found

    def _new(self, name: str) -> Tenant:
        file = None if self._folder is None else self._folder / f"tenant-{name}"
        return Tenant(name, account=Account(file), now=self._now, utc=self._utc)
