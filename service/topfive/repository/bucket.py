"""Model repositories in buckets of S3, and of all that speaks like it (MinIO, Ceph, R2), and of Google Cloud Storage.

Only here is obstore imported, the bindings of Rust's object_store. It reads credentials, region and endpoint from the
environment and from where it runs (a role of the pod or of the machine) by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import obstore
from obstore.exceptions import BaseError, InvalidPathError, PermissionDeniedError, UnauthenticatedError
from obstore.store import GCSStore, S3Store

from topfive.config.environment import variable
from topfive.ground.errors import ConfigurationError, StoreUnreachable, TopfiveError
from topfive.ground.store_urls import StoreUrl
from topfive.repository.stores import CHUNK_BYTES, TIMEOUT_SECONDS, StoreFile, may_pass

_ONE_REQUEST: Final = f"{TIMEOUT_SECONDS:g}s"
_RETRIES: Final = 2
"""What does not pass within them is said in the log, and tried again at the next look."""
_DEBUG: Final = "\n\nDebug source"
"""What follows it in the library's messages is its own state."""
_STATUS: Final = re.compile(r"status code: (\d{3})")
_CODE: Final = re.compile(r"<Code>(\w+)</Code>")
_ADDRESS: Final = re.compile(r"(https?://[^/@\s]+)/")
_ENDPOINT: Final = re.compile(r"https?://[^/@?#\s]+(/[^@?#\s]*)?")
_ENDPOINTS: Final = {
    "s3": ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL",),
}
_ALLOW_HTTP: Final = {"s3": "AWS_ALLOW_HTTP", "gs": "GOOGLE_ALLOW_HTTP"}
_ACCESS: Final = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give this machine a role, that may list and read it; "
    "AWS_SKIP_SIGNATURE=true reads a public bucket",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS, or give this machine a service account, that may list and read it; "
    "GOOGLE_SKIP_SIGNATURE=true reads a public bucket",
}


class Bucket:
    """The objects below a prefix of a bucket. Those without bytes are left out: consoles mark folders with them."""

    def __init__(self, url: StoreUrl) -> None:
        self._url = url
        make: Any = S3Store if url.scheme == "s3" else GCSStore
        allows_http = variable(_ALLOW_HTTP[url.scheme]) in ("true", "1")
        for name in _ENDPOINTS[url.scheme]:
            _check_endpoint(url, name, allows_http=allows_http)
        options: dict[str, Any] = {"timeout": _ONE_REQUEST, "allow_http": allows_http}
        try:
            self._store = make(
                url.place, prefix=url.path or None, client_options=options, retry_config={"max_retries": _RETRIES}
            )
        except (BaseError, ValueError) as error:
            raise ConfigurationError(f"{url}: {str(error).partition(_DEBUG)[0]}; {_ACCESS[url.scheme]}") from None

    def files(self) -> Sequence[StoreFile]:
        """All objects."""
        try:
            return [
                StoreFile(meta["path"], meta["size"], "etag", meta["e_tag"] or str(meta["last_modified"]), meta["path"])
                for page in self._store.list()
                for meta in page
                if meta["size"]
            ]
        except (BaseError, OSError) as error:
            raise self._error(error) from None

    def read(self, file: StoreFile) -> Iterator[bytes]:
        """The bytes of the object, range by range, each only if the object is still the listed one."""
        for start in range(0, file.size, CHUNK_BYTES):
            options: Any = {"range": (start, min(start + CHUNK_BYTES, file.size))}
            if file.digest.startswith('"'):
                options["if_match"] = file.digest
            try:
                yield bytes(obstore.get(self._store, file.source, options=options).bytes())
            except (BaseError, OSError) as error:
                raise self._error(error, file) from None

    def _error(self, error: Exception, file: StoreFile | None = None) -> TopfiveError:
        """What `error` means, without what the library quotes of its own state."""
        what = str(self._url) if file is None else f"{self._url}: {file.path}"
        said, _, _ = str(error).partition(_DEBUG)
        status, code = _STATUS.search(said), _CODE.search(said)
        number = int(status[1]) if status else 0
        if isinstance(error, InvalidPathError):
            return ConfigurationError(f"{what}: it has an object whose name is no path: {said}; rename it there")
        if file is not None and number in (404, 412):
            return StoreUnreachable(f"{what} was replaced or removed while it was fetched")
        if isinstance(error, (PermissionDeniedError, UnauthenticatedError)) or number in (401, 403):
            return ConfigurationError(
                f"{what} may not be read ({code[1] if code else number}); {_ACCESS[self._url.scheme]}"
            )
        if number and not may_pass(number):
            return ConfigurationError(
                f"{what} cannot be read: {code[1] if code else f'status {number}'}; is it the right name?"
            )
        # The library says how long it took too, so that no two errors would be the same.
        address = _ADDRESS.search(said)
        where = address[1] if address else "its endpoint"
        return StoreUnreachable(f"{what} cannot be reached at {where}: {said.rpartition(' - ')[2][:200]}")


def _check_endpoint(url: StoreUrl, name: str, *, allows_http: bool) -> None:
    """Raise `ConfigurationError` unless the variable `name` is the address of a server, or not set."""
    address = variable(name)
    if address is None:
        return
    if _ENDPOINT.fullmatch(address) is None:  # it is not shown, for it may hold a password
        raise ConfigurationError(f"{url}: {name} is no address; write https://host:port, without name and password")
    if address.startswith("http:") and not allows_http:
        raise ConfigurationError(
            f"{url}: {name} is http://, without encryption; {_ALLOW_HTTP[url.scheme]}=true allows that"
        )
