"""Model repositories in repositories of Hugging Face.

Only here is huggingface_hub imported. It reads the token (HF_TOKEN, or that of `hf auth login`) and the endpoint
(HF_ENDPOINT) by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import httpx2
from huggingface_hub import HfApi, hf_hub_url
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import build_hf_headers, get_session

from topfive.ground.errors import ConfigurationError, StoreUnreachable, TopfiveError
from topfive.ground.store_urls import StoreUrl
from topfive.repository.stores import CHUNK_BYTES, TIMEOUT_SECONDS, StoreFile, hush, may_pass

_NO_ACCESS: Final = "is it the right name? If it is private or gated, set HF_TOKEN to a token that may read it"


class Hub:
    """The files of one folder, at one commit: that of the branch or tag when it was listed."""

    def __init__(self, url: StoreUrl) -> None:
        hush("httpx2", "httpcore2")
        self._url = url
        self._api = HfApi()
        self._commit: str | None = None
        self._files: Sequence[StoreFile] = ()

    def files(self) -> Sequence[StoreFile]:
        """All files; one small question, if the branch or tag is where it was."""
        try:
            info = self._api.repo_info(self._url.place, revision=self._url.revision, timeout=TIMEOUT_SECONDS)
            if info.sha is None or info.sha != self._commit:
                self._files = self._listed(info.sha)
                self._commit = info.sha
        except (HfHubHTTPError, httpx2.HTTPError, OSError, ValueError) as error:
            raise self._error(error) from None
        return self._files

    def _listed(self, commit: str | None) -> list[StoreFile]:
        folder = self._url.path
        found = self._api.list_repo_tree(self._url.place, folder or None, recursive=True, revision=commit)
        return [
            StoreFile(
                file.path[len(folder) + 1 :] if folder else file.path,
                file.size,
                "git" if file.lfs is None else "sha256",
                file.blob_id if file.lfs is None else file.lfs.sha256,
                file.path,
            )
            for file in found
            if isinstance(file, RepoFile)
        ]

    def read(self, file: StoreFile) -> Iterator[bytes]:
        """The bytes of the file at the commit that was listed."""
        url = hf_hub_url(self._url.place, file.source, revision=self._commit)
        try:
            with get_session().stream(
                "GET", url, headers=build_hf_headers(), follow_redirects=True, timeout=TIMEOUT_SECONDS
            ) as answer:
                if answer.status_code != httpx2.codes.OK:
                    raise self._bad_status(answer.status_code, file)
                yield from answer.iter_bytes(CHUNK_BYTES)
        except (httpx2.HTTPError, OSError) as error:
            raise self._error(error) from None

    def _bad_status(self, status: int, file: StoreFile) -> TopfiveError:
        kind = StoreUnreachable if may_pass(status) else ConfigurationError
        return kind(f"{self._url}: {file.path} cannot be read: status {status}")

    def _error(self, error: Exception) -> TopfiveError:
        what = str(self._url)
        if isinstance(error, (RepositoryNotFoundError, GatedRepoError)):
            return ConfigurationError(f"{what} is not there, or may not be read; {_NO_ACCESS}")
        if isinstance(error, RevisionNotFoundError):
            return ConfigurationError(f"{what}: it has no such branch, tag or commit; name one after the @")
        if isinstance(error, EntryNotFoundError):
            return ConfigurationError(f"{what}: it has no such folder; name that of the models")
        said = str(error).partition("\n")[0]
        if isinstance(
            error, ValueError
        ):  # of a name that the library does not allow, or of an answer that is not the hub's
            return ConfigurationError(f"{what} cannot be read: {said}")
        if isinstance(error, HfHubHTTPError) and not may_pass(error.response.status_code):
            return ConfigurationError(f"{what} cannot be read: {said}; {_NO_ACCESS}")
        return StoreUnreachable(f"{what} cannot be reached: {said or repr(error)}")
