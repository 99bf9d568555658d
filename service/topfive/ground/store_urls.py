"""URLs of model repositories that lie in a store: s3://, gs://, hf:// and oci://.

What lives here: reading such a URL, strictly. What does not: what is behind it (`repository.stores`).

A URL names a place and never who may read it: credentials come from the environment, where no log shows them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, cast
from urllib.parse import unquote

Scheme = Literal["s3", "gs", "hf", "oci"]

_FORMS: Final[dict[Scheme, str]] = {
    "s3": "s3://bucket/prefix",
    "gs": "gs://bucket/prefix",
    "hf": "hf://organisation/repository@revision/folder",
    "oci": "oci://registry/repository:tag",
}
_BUCKET: Final = re.compile(r"(?P<place>[A-Za-z0-9][A-Za-z0-9._-]{1,221})(?:/(?P<path>.*))?")
_HUB: Final = re.compile(
    r"(?P<place>[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95})(?:@(?P<revision>[\w.%-]+))?(?:/(?P<path>.*))?",
    re.ASCII,
)
_IMAGE: Final = re.compile(
    r"(?P<place>(?:localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+|[A-Za-z0-9.-]+(?=:\d))(?::\d{1,5})?(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)+)"
    r"(?P<revision>:\w[\w.-]{0,127}|@sha256:[0-9a-f]{64})?(?P<path>)",
    re.ASCII,
)
_PATTERNS: Final = {"s3": _BUCKET, "gs": _BUCKET, "hf": _HUB, "oci": _IMAGE}


@dataclass(frozen=True, slots=True)
class StoreUrl:
    """Where a model repository lies: the bucket or the repository `place`, and the folder `path` within it.

    `revision`: of hf, a branch, tag or commit; of oci, a tag with its colon or a digest with its @; None if it is open.
    """

    scheme: Scheme
    place: str
    path: str
    revision: str | None
    text: str

    def __str__(self) -> str:
        return self.text


def is_url(text: str) -> bool:
    """Whether `text` is meant as a URL rather than as a folder."""
    return "://" in text


def read_store_url(text: str) -> StoreUrl:
    """The URL `text`; raises `ValueError`, which says what is wrong without a credential that may be in it."""
    scheme, _, rest = text.partition("://")
    forms = ", ".join(_FORMS.values())
    if scheme not in _PATTERNS:
        raise ValueError(f"no model repository is read from such a URL; write {forms}, or name a folder")
    known = cast("Scheme", scheme)
    form = _FORMS[known]
    if "?" in rest or "#" in rest:
        raise ValueError(f"a store's URL has no parameters; write {form}")
    if known in ("s3", "gs") and "@" in rest.partition("/")[0]:
        raise ValueError(f"credentials do not belong into the URL, set them in the environment; write {form}")
    found = _PATTERNS[known].fullmatch(rest)
    if found is None:
        raise ValueError(f"it cannot be read; write {form}")
    path = (found["path"] or "").removesuffix("/")
    if path and any(part in ("", ".", "..") or not part.isprintable() for part in path.split("/")):
        raise ValueError(f"its folder has a part that is empty, '.', '..' or not printable; write {form}")
    revision = found.groupdict().get("revision")
    if known == "hf" and revision is not None:
        revision = unquote(revision)  # refs%2Fpr%2F1, as Hugging Face writes it too
    return StoreUrl(known, found["place"], path, revision, text)
