"""The canary: a version that answers a share of the requests, and is taken back if it does worse than the live one.

What lives here: which requests it gets, what is counted of both arms, and how it is turned off and on. What does not:
the rollback rule (`rollout.verdict`), and how a request is answered (`rollout.trials`).
"""

from __future__ import annotations

import logging
from hashlib import blake2b
from typing import Any, Final

from topfive.ground.trial_rules import CanaryRule
from topfive.ground.types import Timings
from topfive.observe.trial_metrics import CanaryMetrics
from topfive.rollout.switch import Switch
from topfive.rollout.verdict import WINDOW, Tally, why_worse

logger = logging.getLogger("topfive")

LIVE: Final = "live"
CANARY: Final = "canary"
_FAULTS: Final = frozenset((500, 503, 504))
_POINTS: Final = 1 << 64


class Canary:
    """The canary of one process; `most_slowdown`: as in `verdict.why_worse`.

    `served`: whether its version was served at the last request that it would have got.
    """

    def __init__(self, rule: CanaryRule, *, switch: Switch, metrics: CanaryMetrics, most_slowdown: float) -> None:
        self.rule = rule
        self.served = True
        self._switch = switch
        self._metrics = metrics
        self._most_slowdown = most_slowdown
        self._salt = blake2b(f"{rule.model}:{rule.version}".encode(), digest_size=16).digest()
        self._tallies = {CANARY: Tally(), LIVE: Tally()}
        self._off = False
        self._publish()

    def takes(self, key: bytes) -> bool:
        """Whether the request with this `key` is the canary's: the same for the same key, in every process.

        The salt is the version, so that it is not the same clients that meet every new version.
        """
        if self._switch.reason is not None:
            return False
        point = int.from_bytes(blake2b(key, digest_size=8, salt=self._salt).digest(), "big")
        return point < self.rule.share * _POINTS

    def found(self, *, served: bool) -> None:
        """Note whether its version is served; a change is logged."""
        if served == self.served:
            return
        self.served = served
        if served:
            logger.info("the canary is served: %s", self._name)
        else:
            logger.warning("the canary is not served, and the live version answers its share: %s", self._name)
        self._publish()

    def count(self, arm: str, code: int, timings: Timings | None) -> None:
        """Count one request that `arm` was to answer, with its status and the times of its answer."""
        seconds = None if timings is None else _seconds(timings)
        tally = self._tallies[arm]
        tally.count(fault=code in _FAULTS, seconds=seconds)
        self._metrics.request(arm, code)
        if seconds is not None:
            self._metrics.took(arm, seconds)

    def retried(self) -> None:
        """Count one request that the live version answers because the canary failed it."""
        self._metrics.retried()

    def review(self) -> None:
        """Judge the canary by what was counted, and turn it off if it does worse; call it about once a second."""
        self._switch.look()
        self._note_turns()
        if self._off:
            return
        canary, live = self._tallies[CANARY], self._tallies[LIVE]
        if why := why_worse(canary, live, most_slowdown=self._most_slowdown):
            logger.error("the canary %s is rolled back: %s; the live version answers all requests now", self._name, why)
            self._switch.turn_off(why)
            self._note_turns()
        elif canary.requests >= WINDOW:
            canary.halve()
            live.halve()

    def stop(self) -> None:
        """Turn it off because an operator says so."""
        logger.warning("the canary %s is turned off by an operator", self._name)
        self._switch.turn_off("an operator has turned it off")
        self._note_turns()

    def resume(self) -> None:
        """Turn it on again, and forget what was counted so far."""
        logger.warning("the canary %s is turned on by an operator", self._name)
        self._switch.turn_on()
        self._note_turns()

    def describe(self) -> dict[str, Any]:
        """What operators are told: the rule, the state, and what this process has counted lately."""
        return {
            "model": self.rule.model,
            "version": str(self.rule.version),
            "share": self.rule.share,
            "state": "off" if self._off else "on" if self.served else "absent",
            "reason": self._switch.reason,
            "arms": {
                arm: {
                    "requests": round(tally.requests),
                    "faults": round(tally.faults),
                    "mean_seconds": round(tally.mean, 6) if tally.answers else None,
                }
                for arm, tally in self._tallies.items()
            },
        }

    @property
    def _name(self) -> str:
        return f"'{self.rule.model}' version {self.rule.version}"

    def _note_turns(self) -> None:
        off = self._switch.reason is not None
        if off == self._off:
            return
        self._off = off
        if not off:
            self._tallies = {CANARY: Tally(), LIVE: Tally()}
        self._publish()

    def _publish(self) -> None:
        share = 0.0 if self._off or not self.served else self.rule.share
        self._metrics.publish(share=share, rolled_back=self._off)


def _seconds(timings: Timings) -> float:
    """What a version is to blame for: decoding and resizing are the same in all, and a user may send larger photos."""
    return timings.queue_seconds + timings.inference_seconds
