"""The TLS certificate and key that the settings name, as they were last read.

What lives here: how both files are read, and the errors for files that cannot be used. What does not: handshakes
(`http.server.tls`), and when the files are read again (`access.credentials`).
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import NoReturn

from topfive.config.settings import Settings
from topfive.ground.errors import ConfigurationError


def server_context(settings: Settings) -> ssl.SSLContext | None:
    """The TLS context that `settings` ask for, or None; raises `ConfigurationError`, which names the setting."""
    certificate, key = settings.tls_certificate_file, settings.tls_key_file
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        given, missing = (
            ("tls_key_file", "tls_certificate_file")
            if certificate is None
            else (
                "tls_certificate_file",
                "tls_key_file",
            )
        )
        raise ConfigurationError(f"{given} is set, but {missing} is not: TLS needs both, HTTP without TLS neither")
    _check_readable("tls_certificate_file", certificate)
    _check_readable("tls_key_file", key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_verify_locations(certificate)
    except ssl.SSLError as error:
        raise ConfigurationError(f"tls_certificate_file {certificate} holds no certificate in PEM: {error}") from error
    try:
        context.load_cert_chain(certificate, key, password=_refuse_password)
    except ssl.SSLError as error:
        raise ConfigurationError(
            f"tls_key_file {key} holds no private key in PEM, or not the one of {certificate}: {error}"
        ) from error
    return context


class Certificate:
    """The certificate and key of `settings` as their files were last read; each new handshake takes them from here.

    Raises `ConfigurationError` as `server_context` does.
    """

    def __init__(self, settings: Settings, certificate: Path, key: Path) -> None:
        self._settings = settings
        self.paths = (certificate, key)
        self.read()

    @classmethod
    def of(cls, settings: Settings) -> Certificate | None:
        """The certificate of `settings`, None if they ask for no TLS."""
        server_context(settings)  # first: it raises if only one of the two files is set
        certificate, key = settings.tls_certificate_file, settings.tls_key_file
        return None if certificate is None or key is None else cls(settings, certificate, key)

    def read(self) -> None:
        """Read both files again; if they cannot be used, raise `ConfigurationError` and keep the present pair.

        May be called on any thread: a handshake meanwhile uses either the old or the new pair, never a mixture.
        """
        before = self._contents()
        context = server_context(self._settings)
        assert context is not None
        chain, key = self._contents()
        if (chain, key) != before:
            raise ConfigurationError("tls_certificate_file and tls_key_file changed while they were read")
        self.context, self.chain, self.key = context, chain, key

    def _contents(self) -> tuple[bytes, bytes]:
        try:
            chain, key = (path.read_bytes() for path in self.paths)
        except OSError as error:
            raise ConfigurationError(f"the TLS file {error.filename} cannot be read: {error.strerror}") from error
        return chain, key


def _check_readable(name: str, path: Path) -> None:
    try:
        path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{name} {path} cannot be read: {error.strerror}") from error


def _refuse_password() -> NoReturn:
    raise ConfigurationError(
        "tls_key_file holds an encrypted key; give one without a password, readable by this user only"
    )
