"""The HEALTHCHECK of the container image: exits 0 if the service in this container answers its probe with 200.

It asks for `ready` by default, because a container that counts as healthy should take requests; the argument `live`
changes that. It runs every few seconds, so it imports little. It reads the address from the service's environment.
"""

import http.client
import os
import sys
from collections.abc import Mapping, Sequence

_TIMEOUT_SECONDS = 2.0
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # where the service listens, not this


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Return 0 or 1; the fault goes to stderr, where `docker inspect` shows it."""
    probe = arguments[0] if arguments else "ready"
    connection = _connect(environment)
    try:
        connection.request("GET", f"/v2/health/{probe}")
        answer = connection.getresponse()
        text = answer.read().decode()
    except (OSError, http.client.HTTPException) as error:
        sys.stderr.write(f"{connection.host}:{connection.port}: {error!r}\n")
        return 1
    finally:
        connection.close()
    if answer.status != http.HTTPStatus.OK:
        sys.stderr.write(f"{answer.status} {text}\n")
        return 1
    return 0


def _connect(environment: Mapping[str, str]) -> http.client.HTTPConnection:
    host = environment.get("TOPFIVE_HOST", "127.0.0.1")
    host, port = _ANY_ADDRESS.get(host, host), int(environment.get("TOPFIVE_PORT", "8000"))
    if not environment.get("TOPFIVE_TLS_CERTIFICATE_FILE"):
        return http.client.HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)
    import ssl

    # Not verified: the certificate is for the name that clients use, and this request goes through the loopback.
    context = ssl._create_unverified_context()  # noqa: S323, SLF001
    return http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_SECONDS, context=context)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))  # noqa: TID251  # a program of its own, beside the service
