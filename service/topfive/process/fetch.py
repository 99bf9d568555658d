"""`topfive fetch`: copies a model repository from a store into a folder, once.

For a container that runs before the service (an init container), or by hand. What it fetched before and is the same
still is not fetched again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from topfive.config.environment import wants_colours
from topfive.config.settings import Settings
from topfive.ground.errors import ConfigurationError, StoreUnreachable
from topfive.ground.store_urls import read_store_url
from topfive.observe.logs import configure_logging, texts_for
from topfive.repository.mirror import Mirror

_MAX_BYTES: Final[int] = Settings.model_fields["model_cache_bytes"].default
_FAILED: Final = 1


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns 0, or 1 if the store cannot be reached; raises `ConfigurationError`."""
    parser = argparse.ArgumentParser(
        prog="topfive fetch",
        description="Copies a model repository from a store into a folder: s3://bucket/prefix, gs://bucket/prefix, "
        "hf://organisation/repository@revision/folder, oci://registry/repository:tag. All is checked before any of it "
        "is seen there. Credentials come from the environment.",
    )
    parser.add_argument("url", help="where the models are")
    parser.add_argument("folder", type=Path, help="where they go; what was fetched there before is replaced")
    parser.add_argument("--max-bytes", type=int, default=_MAX_BYTES, help="most bytes to take (default: %(default)s)")
    given = parser.parse_args(arguments)
    configure_logging("info", sys.stderr, texts=texts_for("auto", sys.stderr, colours=wants_colours()))
    try:
        url = read_store_url(given.url)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    try:
        Mirror(url, given.folder, max_bytes=given.max_bytes).refresh()
    except StoreUnreachable as error:
        sys.stderr.write(f"topfive fetch: {error}\n")
        return _FAILED
    return 0
