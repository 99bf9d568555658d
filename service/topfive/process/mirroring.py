"""Where a model repository in a store is mirrored, and, if there are several worker processes, who keeps it up to date.

What lives here: the folder, and the supervisor's thread. A process that serves alone does the same on its own
(`models.following`), so that it answers the liveness probe while its models are fetched.
"""

from __future__ import annotations

import logging
import os
import stat
import threading
from pathlib import Path

from topfive.config.environment import cache_folder
from topfive.config.settings import Settings
from topfive.ground.errors import ConfigurationError, NotReady
from topfive.ground.store_urls import StoreUrl
from topfive.repository.mirror import Mirror, mirror_folder

logger = logging.getLogger("topfive")


def with_mirror(settings: Settings) -> tuple[Settings, Mirror | None]:
    """The `settings` with a local folder as the repository; and its mirror, if it comes from a store.

    Raises `ConfigurationError` if there can be no such folder.
    """
    url = settings.model_repository
    if not isinstance(url, StoreUrl):
        return settings, None
    cache = settings.model_cache_dir or _own(cache_folder())
    folder = mirror_folder(cache, url)
    mirror = Mirror(url, folder, max_bytes=settings.model_cache_bytes)
    return settings.model_copy(update={"model_repository": folder}), mirror


def keep_mirrored(mirror: Mirror, poll_seconds: float | None) -> None:
    """Fetch what is served first, then look every `poll_seconds`, unless that is None, on a thread of its own."""
    mirror.first()
    if poll_seconds is not None:
        threading.Thread(target=_keep, args=(mirror, poll_seconds), name="store", daemon=True).start()


def _keep(mirror: Mirror, poll_seconds: float) -> None:
    while not mirror.wait(poll_seconds):
        try:
            mirror.look()
        except NotReady:
            return
        except Exception as error:  # polling must go on
            logger.error("the look at %s failed", mirror.url, exc_info=error)


def _own(folder: Path) -> Path:
    """The default `folder`, made if it is not there; nobody else may have put models into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        status = folder.stat()
    except OSError as error:
        raise ConfigurationError(
            f"models from a store need a folder, and '{folder}' cannot be made ({error.strerror or error}); name one "
            "with --model-cache-dir (TOPFIVE_MODEL_CACHE_DIR)"
        ) from error
    if status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigurationError(
            f"'{folder}', where models from a store would be kept, can be written by others; name a folder of the "
            "service's own with --model-cache-dir (TOPFIVE_MODEL_CACHE_DIR)"
        )
    return folder
