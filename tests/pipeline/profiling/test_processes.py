"""A service is found by its port, and its processes by their parents."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.profiling.processes import listening_on, tree

NOWHERE = 2**22 + 5
"""Above the highest id that Linux gives."""


def test_who_listens_is_found_by_the_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert listening_on("127.0.0.1", port) == os.getpid()
        assert listening_on("example.com", port) is None
    assert listening_on("127.0.0.1", port) is None


def test_of_workers_the_supervisor_is_found() -> None:
    """Here it holds the socket too, as topfive's does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fd, port = listener.fileno(), listener.getsockname()[1]
        with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[fd]) as child:
            assert listening_on("localhost", port) == os.getpid()
            assert tree(os.getpid())[0] == os.getpid()
            assert child.pid in tree(os.getpid())
            assert tree(child.pid) == [child.pid]
            child.communicate(b"\n")


def test_a_process_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=rf"no process {NOWHERE} here; name the service's own with --pid"):
        tree(NOWHERE)
