"""Model repositories as artifacts of an OCI registry: one layer a file, titled by its path, as `oras push` makes them.

Only here is oras imported. It reads credentials from Docker's configuration (`docker login`, `oras login`, a mounted
`config.json`) by itself.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any, Final, Self

import requests
from oras.container import Container
from oras.provider import Registry as Provider

from topfive.config.environment import variable
from topfive.ground.errors import ConfigurationError, StoreUnreachable, TopfiveError
from topfive.ground.store_urls import StoreUrl
from topfive.repository.stores import CHUNK_BYTES, TIMEOUT_SECONDS, StoreFile, hush, may_pass

_TITLE: Final = "org.opencontainers.image.title"
_UNPACK: Final = "io.deis.oras.content.unpack"
_ACCEPT: Final = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
_PACKED: Final = "tar+gzip"
"""Of a folder; files are often said to be a `tar`, whatever they are."""
_MAX_MANIFEST_BYTES: Final = 4 << 20
"""As registries bound it."""
_SHA256: Final = "sha256:"
_OK: Final = 200
_UNAUTHORISED: Final = 401
_LOCAL: Final = ("localhost", "127.0.0.1")
_HOW: Final = "push each file as a layer of its own: cd my_models && oras push {url} $(find * -type f)"


class _Provider(Provider):  # type: ignore[misc]  # untyped
    """oras' client, each of whose requests is bounded and made once: the library would try for two minutes."""

    def __init__(self, hostname: str, *, insecure: bool, auth_backend: str) -> None:
        super().__init__(hostname, insecure=insecure, auth_backend=auth_backend)
        self.session.request = functools.partial(self.session.request, timeout=TIMEOUT_SECONDS)
        self.do_request = functools.partial(Provider.do_request.__wrapped__, self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()


class Registry:
    """The layers of one manifest."""

    def __init__(self, url: StoreUrl) -> None:
        hush("urllib3")
        self._url = url
        self._container = Container(url.place + (url.revision or ""))
        self._host = url.place.partition("/")[0]
        # As Docker does, only this machine's own registry is spoken to without encryption.
        self._insecure = self._host.partition(":")[0] in _LOCAL
        self._auth = ""

    def files(self) -> Sequence[StoreFile]:
        """All layers, of the manifest to which the tag leads now."""
        with self._provider() as provider:
            ask = functools.partial(provider.do_request, self._address, headers=dict(_ACCEPT), stream=True)
            with self._asked(ask) as answer:
                body = self._asked(lambda: answer.raw.read(_MAX_MANIFEST_BYTES + 1, decode_content=True))
        if len(body) > _MAX_MANIFEST_BYTES:
            raise ConfigurationError(f"{self._url}: its manifest has more than {_MAX_MANIFEST_BYTES >> 20} MiB")
        return self._layers(body)

    def read(self, file: StoreFile) -> Iterator[bytes]:
        """The bytes of the layer."""
        with self._provider() as provider:
            ask = functools.partial(provider.get_blob, self._container, file.source, stream=True)
            with self._asked(ask, file) as answer:
                chunks = answer.iter_content(CHUNK_BYTES)
                while chunk := self._asked(lambda: next(chunks, b""), file):
                    yield chunk

    @property
    def _address(self) -> str:
        return f"http{'' if self._insecure else 's'}://{self._container.manifest_url()}"

    @contextlib.contextmanager
    def _provider(self) -> Iterator[_Provider]:
        """A client that is let in, new for each file: a token lasts for minutes, and it does not ask for another."""
        if not self._auth:
            ask = functools.partial(requests.get, f"{self._address.partition('/v2/')[0]}/v2/", timeout=TIMEOUT_SECONDS)
            with self._asked(ask, any_status=True) as answer:
                is_basic = answer.headers.get("WWW-Authenticate", "").lower().startswith("basic")
            self._auth = "basic" if is_basic else "token"
        with _Provider(self._host, insecure=self._insecure, auth_backend=self._auth) as provider:
            named = variable("DOCKER_CONFIG")  # which the library does not know
            provider.auth.load_configs(self._container, [f"{named}/config.json"] if named else None)
            if self._auth == "basic":
                if not hasattr(provider.auth, "_basic_auth"):
                    raise self._bad_status(_UNAUTHORISED, str(self._url))
                provider.session.headers.update(provider.auth.get_auth_header())
            # It asks for a token once it was refused, and would leave that answer open if it were one that is streamed.
            with self._asked(lambda: provider.do_request(self._address, "HEAD", headers=dict(_ACCEPT))):
                yield provider

    def _layers(self, body: bytes) -> list[StoreFile]:
        wanted = self._container.digest
        if wanted and wanted != _SHA256 + hashlib.sha256(body).hexdigest():
            raise ConfigurationError(f"{self._url}: the manifest that came is not the one with this digest")
        how = _HOW.format(url=self._url.text.removeprefix("oci://"))
        try:
            layers = json.loads(body)["layers"]
            files = [_file(layer) for layer in layers]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ConfigurationError(
                f"{self._url} is no artifact of files: its manifest has no layers that are titled by paths; {how}"
            ) from None
        if any(
            layer["annotations"].get(_UNPACK) == "true" or str(layer.get("mediaType")).endswith(_PACKED)
            for layer in layers
        ):
            raise ConfigurationError(f"{self._url}: it holds a packed folder, which is not unpacked here; {how}")
        return files

    def _asked(self, ask: Any, file: StoreFile | None = None, *, any_status: bool = False) -> Any:
        what = str(self._url) if file is None else f"{self._url}: {file.path}"
        try:
            answer = ask()
        except (requests.RequestException, OSError, ValueError) as error:
            raise self._error(error, what) from None
        if isinstance(answer, requests.Response) and answer.status_code != _OK and not any_status:
            answer.close()
            raise self._bad_status(answer.status_code, what)
        return answer

    def _bad_status(self, status: int, what: str) -> TopfiveError:
        if may_pass(status):
            return StoreUnreachable(f"{what} cannot be read now: status {status}")
        return ConfigurationError(
            f"{what} cannot be read: status {status}; is it the right name and tag? If it is private, log in by "
            "`docker login`, or mount Docker's config.json and name its folder in DOCKER_CONFIG"
        )

    def _error(self, error: Exception, what: str) -> TopfiveError:
        if isinstance(error, ValueError) and not isinstance(
            error, requests.RequestException
        ):  # oras has no credentials
            return self._bad_status(_UNAUTHORISED, what)
        return StoreUnreachable(f"{what} cannot be reached ({type(error).__name__}); is the registry there?")


def _file(layer: Any) -> StoreFile:
    digest, size = layer["digest"], layer["size"]
    if not digest.startswith(_SHA256) or not isinstance(size, int) or size < 0:
        raise ValueError(digest)
    return StoreFile(
        layer["annotations"][_TITLE].removeprefix("./"), size, "sha256", digest.removeprefix(_SHA256), digest
    )
