"""Fair sharing between tenants: whose image is next, how many are before it, and who holds more than a share.

What lives here: three rules, as pure classes without a clock. What does not: the queue (`batching.queue`), the bounds
(`batching.room`, `request.admission`), and who the tenants are (`access.tenants`). Without tenants nothing here runs.

*Whose turn.* Start-time fair queueing (Goyal, Vin, Cheng: SIGCOMM 1996): an image gets a tag when it comes, the number
of images that its tenant has had before it, divided by the tenant's weight; the lowest tag leaves first. A tenant that
comes back starts at the tag of the last image that left, so that it neither saves up turns nor has to make up for what
others had meanwhile. While two tenants have images of one shape and priority waiting, what they get differs from their
weights by no more than an image each. An image that was cancelled counts as one that its tenant has had.

*Who holds too much.* A dynamic threshold (Choudhury, Hahne: IEEE/ACM Transactions on Networking 6, 1998): a tenant may
take more as long as it holds at most a fixed multiple of what is free. So one that floods leaves some of it free, and
the next to come finds room at once; nothing has to be thrown out for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from topfive.access.spending import MAX_WEIGHT

_MULTIPLE: Final = 4
"""A tenant may hold so many times what is free: alone at most four fifths, two that flood four ninths each."""


class Sharer(Protocol):
    """A tenant, as far as sharing needs to know it; equal only to itself."""

    weight: int


def before(tenant: Sharer, own: float, waiting: Mapping[Sharer, float]) -> float:
    """How much of what is `waiting` goes before something of `tenant` that comes now and is the size of `own`.

    All of its own, and of each other tenant as much as its weight lets it have meanwhile.
    """
    turns = (waiting.get(tenant, 0.0) + own) / tenant.weight
    return sum(amount if other is tenant else min(amount, other.weight * turns) for other, amount in waiting.items())


class Holdings:
    """How much of one bounded thing (places, requests, bytes) each tenant holds."""

    def __init__(self) -> None:
        self._held: dict[Sharer, float] = {}

    def add(self, tenant: Sharer, amount: float) -> None:
        """Count so much more that `tenant` holds, or less if negative."""
        held = self._held.get(tenant, 0) + amount
        if held:
            self._held[tenant] = held
        else:
            self._held.pop(tenant, None)

    @property
    def total(self) -> float:
        """How much all of them hold."""
        return sum(self._held.values())

    def before(self, tenant: Sharer, own: float) -> float:
        """As `before`."""
        return before(tenant, own, self._held)

    def allows(self, tenant: Sharer, amount: float, *, free: float) -> bool:
        """Whether `tenant` may take so much more of what is `free`; the heaviest that holds some sets the scale."""
        wanted = self._held.get(tenant, 0) + amount
        most = _MULTIPLE * free * tenant.weight
        if wanted * MAX_WEIGHT <= most:  # as nearly always: whatever the others weigh
            return True
        return wanted * max([tenant.weight, *(other.weight for other in self._held)]) <= most


class _Level:
    """The images of one priority level."""

    __slots__ = ("ends", "near", "now", "queued")

    def __init__(self) -> None:
        self.now = 0.0
        """The tag of the last image that left."""
        self.ends: dict[Sharer, float] = {}
        """The tag that the next image of each tenant would get if it came at once."""
        self.queued = 0
        self.near = Holdings()
        """The images that are in the queue or soon will be."""


class Sharing:
    """The tenants' images in one queue and on their way to it; a level is forgotten when there is nothing of it."""

    def __init__(self) -> None:
        self.places = Holdings()
        self._levels: dict[int, _Level] = {}

    def hold(self, tenant: Sharer, level: int | None, images: int) -> None:
        """Count so many images more that are on their way, or less if negative; None: they are not expected soon."""
        self.places.add(tenant, images)
        if level is not None:
            self._near(tenant, level, images)

    def put(self, tenant: Sharer, level: int) -> float:
        """An image enters the queue; returns its tag."""
        self.hold(tenant, level, 1)
        its = self._levels[level]
        its.queued += 1
        tag = max(its.now, its.ends.get(tenant, 0.0))
        its.ends[tenant] = tag + 1 / tenant.weight
        return tag

    def served(self, level: int, tag: float) -> None:
        """An image with this tag leaves in a batch; `gone` follows."""
        its = self._levels[level]
        its.now = max(its.now, tag)

    def gone(self, tenant: Sharer, level: int) -> None:
        """An image has left the queue."""
        its = self._levels[level]
        its.queued -= 1
        if not its.queued:  # nobody waits: what anyone had does not count any more
            its.now = 0.0
            its.ends.clear()
        self.hold(tenant, level, -1)

    def ahead(self, tenant: Sharer, level: int) -> float:
        """How many images would leave before one of `tenant` that comes now with this level."""
        ahead = 0.0
        for number, its in self._levels.items():
            if number < level:
                ahead += its.near.total
            elif number == level:
                ahead += its.near.before(tenant, 1)
        return ahead

    def _near(self, tenant: Sharer, level: int, images: int) -> None:
        its = self._levels.get(level)
        if its is None:
            its = self._levels[level] = _Level()
        its.near.add(tenant, images)
        if not its.near.total:
            del self._levels[level]
