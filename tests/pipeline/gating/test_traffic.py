"""A running service is asked for what a baseline is made of, and what does not answer so is said in a sentence."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.gating.contestants import Pair
from topfive_pipeline.gating.traffic import Service
from topfive_pipeline.proof.photos import Photo


class _Stranger(BaseHTTPRequestHandler):
    """Another service at the address: what it answers is no JSON, or asks for a key."""

    def do_GET(self) -> None:
        status = 401 if self.path == "/metrics" else 200
        self.send_response(status)
        self.end_headers()
        self.wfile.write(b"<html>")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def stranger() -> Iterator[Service]:
    with HTTPServer(("127.0.0.1", 0), _Stranger) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield Service(f"http://127.0.0.1:{server.server_port}/", "a-key")
        server.shutdown()
        thread.join()


def test_the_real_server_tells_its_metrics_its_version_and_its_answers(pair: Pair, known_photos: list[Photo]) -> None:
    service, done = Service(pair.live.url), list[int]()
    assert service.version("pets") == "1"
    answers = service.answers("pets", known_photos[:3], done.append)
    assert [answer.status for answer in answers] == [200] * 3
    assert done == [1, 2, 3]
    assert "topfive_labels_total" in service.metrics()
    with pytest.raises(ConfigurationError, match="/v2/models/a%2Fb answers 404"):
        service.version("a/b")


def test_what_is_no_such_service_is_said(stranger: Service) -> None:
    with pytest.raises(ConfigurationError, match=r"/v2/models/pets is not answered as topfive does"):
        stranger.version("pets")
    with pytest.raises(ConfigurationError, match=r"/metrics answers 401; give its key by BASELINE_API_KEY"):
        stranger.metrics()
    with pytest.raises(ConfigurationError, match=r"the service does not answer .* is it up"):
        Service("http://127.0.0.1:9").metrics()
    with pytest.raises(ConfigurationError, match="say the service's address, as http"):
        Service("ftp://here").metrics()
