"""What the settings `shadow` and `canary` say: which version is tried on live traffic, and on how much of it.

What lives here: the two rules, and how they are read from text. What does not: what is done by them (`rollout`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

_NAME: Final = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_SHARE: Final = re.compile(r"(?P<what>.+)@\s*(?P<share>\d+(?:\.\d+)?)\s*%")
_VERSION_OF: Final = re.compile(rf"(?P<name>{_NAME})(?::(?P<version>[1-9]\d{{0,17}}))?")
_SHADOW_FORMS: Final = (
    "write MODEL:VERSION@SHARE%, MODEL=OTHER_MODEL@SHARE% or MODEL=http://HOST:PORT?model=M&version=V@SHARE%, such as "
    "efficientnet_lite0:2@10%"
)
_CANARY_FORMS: Final = "write MODEL:VERSION@SHARE%, such as efficientnet_lite0:2@5%"
_HEADER: Final = re.compile(r"[A-Za-z0-9-]+")


@dataclass(frozen=True, slots=True)
class ShadowRule:
    """The `share` of the requests that `model` answers, in (0, 1], is copied to a target.

    The target is the model `name` of this service, in `version` (None: the highest), or another service at `url`.
    """

    model: str
    share: float
    name: str = ""
    version: int | None = None
    url: str = ""

    @property
    def target(self) -> str:
        """The target as the settings name it."""
        if self.url:
            return self.url
        return self.name if self.version is None else f"{self.name}:{self.version}"


@dataclass(frozen=True, slots=True)
class CanaryRule:
    """The `share` of the requests for `model` that name no version, in (0, 1), is answered by `version`."""

    model: str
    version: int
    share: float


def read_shadow(text: str) -> ShadowRule | None:
    """The rule in `text`, None if it is empty; raises `ValueError`, which says how to write it."""
    if not text.strip():
        return None
    what, share = _split(text, most=1.0, forms=_SHADOW_FORMS)
    model, equals, target = what.partition("=")
    if not equals:
        name, version = _named(what, _SHADOW_FORMS)
        if version is None:
            raise ValueError(f"'{text}' names no version to copy requests to: {_SHADOW_FORMS}")
        return ShadowRule(name, share, name, version)
    name, version = _named(model, _SHADOW_FORMS)
    if version is not None:
        raise ValueError(f"'{model.strip()}' must name a model without a version: {_SHADOW_FORMS}")
    target = target.strip()
    if "://" in target:
        return ShadowRule(name, share, url=_checked_url(target))
    other, version = _named(target, _SHADOW_FORMS)
    if other == name and version is None:
        raise ValueError(f"'{text}' would copy requests to the model that answers them: name another version or model")
    return ShadowRule(name, share, other, version)


def read_canary(text: str) -> CanaryRule | None:
    """The rule in `text`, None if it is empty; raises `ValueError`, which says how to write it."""
    if not text.strip():
        return None
    what, share = _split(text, most=0.99, forms=_CANARY_FORMS)
    name, version = _named(what, _CANARY_FORMS)
    if version is None:
        raise ValueError(f"'{text}' names no version: {_CANARY_FORMS}")
    return CanaryRule(name, version, share)


def read_header(text: str) -> str:
    """The name of a header in lower case; raises `ValueError`."""
    if _HEADER.fullmatch(text) is None:
        raise ValueError(f"'{text}' is no header's name: write letters, digits and hyphens, such as X-User-Id")
    return text.lower()


def _split(text: str, *, most: float, forms: str) -> tuple[str, float]:
    found = _SHARE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"'{text}' says no share of the requests: {forms}")
    share = float(found["share"]) / 100
    if not 0 < share <= most:
        raise ValueError(f"the share in '{text}' must be above 0% and at most {most:.0%}: {forms}")
    return found["what"].strip(), share


def _named(text: str, forms: str) -> tuple[str, int | None]:
    found = _VERSION_OF.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"'{text.strip()}' is no model: {forms}")
    return found["name"], None if found["version"] is None else int(found["version"])


def _checked_url(text: str) -> str:
    """`text`, if it is the URL of a service and holds no secret: the log and the metrics show it."""
    parts = urlsplit(text)
    try:
        port = parts.port
    except ValueError as error:
        raise ValueError(f"the port in '{text}' is not between 0 and 65535") from error
    if parts.username is not None or parts.password is not None:
        raise ValueError("the URL of a shadow must hold no password; name a file with its API key in shadow_key_file")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.fragment or port == 0:
        raise ValueError(f"'{text}' is no URL of a service: {_SHADOW_FORMS}")
    if re.search(r"[\s\x00-\x1f]", text):
        raise ValueError(f"'{text}' must hold no blanks: {_SHADOW_FORMS}")
    return text
