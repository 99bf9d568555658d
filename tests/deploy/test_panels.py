"""Every panel has data, and the right data: the real Prometheus scrapes real services under real load.

Two services: one on the real models, and one of two worker processes on tiny models. What their clients counted is
what the panels must show.
"""

from __future__ import annotations

import json
import math
import re
import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from deploy.grafana.boards.files import files
from service.metrics import DURATION_BUCKETS
from tests.conftest import Encode, Photo
from tests.oip_bodies import binary_image
from tests.prometheus import RATE_INTERVAL, Prometheus, Sample, needs_prometheus
from tests.serving_process import RAW, READY, ServingProcess, ask, classify_path, serving
from tests.tiny_models import write_tiny_repository

pytestmark = needs_prometheus

ONE, TWO = "service", "service-triton"
"""Names of the two services, among those that the deployed configuration looks for."""
CLASSIFY: Final = "/v1/classify"
INFER: Final = "/v2/models/efficientnet_lite0/infer"
SCRAPES: Final = 8
"""Of the load: enough for a rate at every moment that is looked at."""
BOARDS: Final = {name: json.loads(text) for name, text in files().items()}

SHARE: Final = (0.0, 1.0)
LATENCY: Final = (0.0001, 10.0)
SANE: Final = {
    "Ready": (1, 2),
    "Targets down": (1, 1),  # the Triton that is not there
    "Alerts firing": (0, 2),
    "Requests": (1, 1e5),
    "Errors": (0, 0),
    "Refused": (0.0001, 0.9),
    "Requests by status": (0, 1e5),
    "Burn rate": (0, 100),
    "Alerts": (1, 1),
    "Latency": LATENCY,
    "Latency, all of it": (0, 1e5),
    "p50 by route": LATENCY,
    "p90 by route": LATENCY,
    "p99 by route": LATENCY,
    "Mean time of a request, by stage": (0, 1),
    "p90 of each stage": (0, 10),
    "Batch sizes": (0, 1e5),
    "Mean batch size": (1, 16),
    "Saturation": SHARE,
    "Images that wait": (0, 256),
    "In flight": (0, 100),
    "Refused, by reason": (0, 1e4),
    "Cores used": (0.001, 64),
    "Memory": (10 << 20, 4 << 30),
    "Images per second": (1, 1e5),
    "Images per CPU-second": (1, 1e5),
    "Models served": (1, 1),
    "Images per second by model": (0, 1e5),
}
"""The least and the most that each panel may show of this load."""


def queries(board: str, *titles: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Each target with its panel's title, of all panels or of those with these titles."""
    found = [
        (panel["title"], target)
        for panel in BOARDS[board]["panels"]
        for target in panel.get("targets", [])
        if not titles or panel["title"] in titles
    ]
    assert {title for title, _ in found} >= set(titles)
    return found


def as_grafana(expression: str, *, over: str = RATE_INTERVAL, **chosen: str) -> str:
    """The expression with its variables replaced; what is not chosen is `All`."""
    values = {"service": ".*", "instance": ".*", "model": ".*", "route": ".*", **chosen, "__rate_interval": over}
    return re.sub(r"\$(\w+)", lambda found: values[found[1]], expression)


@dataclass
class Client:
    """Sends requests on one connection, one after the other, and keeps count of the answers."""

    service: ServingProcess
    requests: Sequence[tuple[str, bytes, Mapping[str, str]]]
    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    """How long the service took for each answer to `CLASSIFY`, as it said in Server-Timing."""

    def send_all(self) -> None:
        """Each request once."""
        with self.service.connect() as connection:
            for path, body, headers in self.requests:
                answer = ask(connection, "POST", path, body, headers)
                self.statuses[answer.status] += 1
                if answer.status == 200 and path.startswith(CLASSIFY):
                    total = re.search(r"total;dur=([\d.]+)", answer.headers["server-timing"])
                    assert total is not None
                    self.seconds.append(float(total[1]) / 1000)

    def send_until(self, stop: threading.Event) -> None:
        """All requests over and over."""
        while not stop.is_set():
            self.send_all()


@dataclass(frozen=True)
class Scraped:
    """Prometheus after the load of the `clients`, which lasted from `began` to `ended`; all of it is seen at `seen`."""

    prometheus: Prometheus
    clients: Mapping[str, Client]
    began: float
    ended: float
    seen: float

    def values(self, target: Mapping[str, Any], **chosen: str) -> list[Sample]:
        """What a panel's target shows of the last of the load."""
        expression = as_grafana(target["expr"], **chosen)
        if target["instant"]:
            return self.prometheus.now(expression, at=self.ended)
        return self.prometheus.over_time(expression, start=self.ended - 1, end=self.ended)

    def increase(self, counter: str) -> float:
        """By how much a counter grew with the load."""
        before, after = (self.prometheus.number(f"sum({counter})", at=at) for at in (self.began, self.seen))
        return after - before

    @property
    def whole(self) -> str:
        """A range that holds the whole load, from the last scrape before it."""
        return f"{round(1000 * (self.seen - self.began)) + 500}ms"


def requests_of(name: str) -> str:
    return f'topfive_request_duration_seconds_count{{service="{name}"}}'


def time_of(prometheus: Prometheus, *, scrapes: int) -> float:
    """Its time after so many more scrapes of both services."""
    began = prometheus.number("time()")

    def is_over() -> bool:
        passed = round(1000 * (prometheus.number("time()") - began)) + 1
        return prometheus.number(f'min(count_over_time(up{{job="topfive"}}[{passed}ms]))') >= scrapes

    prometheus.wait_until(is_over)
    return prometheus.number("time()")


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory, cat: Photo, coffee: Photo, encode: Encode) -> Iterator[Scraped]:
    """One load for all tests: on the one service of every kind of request, on the other of one kind."""
    tiny = write_tiny_repository(tmp_path_factory.mktemp("models"))
    infer = binary_image(coffee[:224, :224][None])
    mixed = [
        (CLASSIFY, encode(cat, "JPEG"), {"Content-Type": "image/jpeg"}),
        (INFER, infer.content, infer.headers),
        (classify_path(timeout_ms=1), encode(coffee, "PNG"), {"Content-Type": "image/png"}),
        (CLASSIFY, b"no photo", {"Content-Type": "image/jpeg"}),
    ]
    pairs = [(classify_path(height=4, width=6, count=2), bytes(144), {"Content-Type": RAW})]
    with ExitStack() as stack:
        two = stack.enter_context(ServingProcess("--workers", "2", "--model-repository", str(tiny)))
        one = stack.enter_context(serving())
        two.wait_for_log(READY, count=2)
        targets = {
            "topfive": {ONE: f"127.0.0.1:{one.port}", TWO: f"127.0.0.1:{two.port}"},
            "triton": {"triton": "127.0.0.1:1"},
        }
        prometheus = stack.enter_context(Prometheus(tmp_path_factory.mktemp("prometheus"), targets))
        clients = {ONE: Client(one, mixed), TWO: Client(two, pairs)}

        def all_seen() -> bool:
            counts = {name: prometheus.number(f"sum({requests_of(name)})") for name in clients}
            return all(counts[name] == client.statuses.total() for name, client in clients.items())

        for client in clients.values():  # a series that is new shows no increase: each is to be there before the load
            client.send_all()
        prometheus.wait_until(all_seen)
        began = time_of(prometheus, scrapes=1)
        stop = threading.Event()
        threads = [threading.Thread(target=client.send_until, args=[stop]) for client in clients.values()]
        for thread in threads:
            thread.start()
        ended = time_of(prometheus, scrapes=SCRAPES)
        stop.set()
        for thread in threads:
            thread.join()
        prometheus.wait_until(all_seen)
        yield Scraped(prometheus, clients, began, ended, seen=time_of(prometheus, scrapes=1))


def test_every_service_is_found_under_its_name(scraped: Scraped) -> None:
    found = {(target["labels"]["job"], target["labels"]["service"]) for target in scraped.prometheus.targets()}
    assert found == {("topfive", ONE), ("topfive", TWO), ("triton", "triton")}


def test_every_rule_can_be_evaluated(scraped: Scraped) -> None:
    """And what is recorded has values, as far as the load lasted."""
    rules = scraped.prometheus.rules()
    assert [rule["name"] for rule in rules if rule["health"] != "ok"] == []
    recorded = [rule["name"] for rule in rules if rule["type"] == "recording"]
    assert recorded
    assert [name for name in recorded if not scraped.prometheus.now(name, at=scraped.seen)] == []


def test_every_query_of_every_dashboard_can_be_evaluated(scraped: Scraped) -> None:
    """Also those to which nothing here has an answer, as Triton's."""
    for board in BOARDS.values():
        for target in (target for panel in board["panels"] for target in panel.get("targets", [])):
            scraped.values(target)
        for marker in board["annotations"]["list"]:
            scraped.values({"expr": marker["expr"], "instant": True})


@pytest.mark.parametrize("title", dict.fromkeys(title for title, _ in queries("topfive.json")))
def test_a_panel_shows_sane_values_of_the_load(scraped: Scraped, title: str) -> None:
    least, most = SANE[title]
    for _, target in queries("topfive.json", title):
        values = [sample.value for sample in scraped.values(target)]
        assert values, f"nothing is shown for {target['expr']}"
        assert all(least <= value <= most for value in values), f"{target['expr']} is {values}"


@pytest.mark.parametrize("title", dict.fromkeys(title for title, _ in queries("topfive.json")))
def test_a_panel_follows_the_choice_of_a_service(scraped: Scraped, title: str) -> None:
    for _, target in queries("topfive.json", title):
        if "$service" in target["expr"]:
            shown = {sample.labels.get("service", TWO) for sample in scraped.values(target, service=TWO)}
            assert shown <= {TWO}
            assert scraped.values(target, service="nobody") == []


def test_nothing_is_blank_while_no_request_has_come(scraped: Scraped) -> None:
    """Before the first request there are zeros, where nothing is known to be zero."""
    for title, target in queries("topfive.json", "Ready", "Requests", "Requests by status", "Refused, by reason"):
        expression = as_grafana(target["expr"].replace("topfive_request_duration", "never_asked"))
        assert scraped.prometheus.now(expression, at=scraped.ended), title


def test_the_quantiles_agree_with_what_the_client_was_told(scraped: Scraped) -> None:
    """Within the bucket that holds the client's own quantile."""
    seconds = sorted(scraped.clients[ONE].seconds)[:]
    ours = {f'topfive_request_duration_seconds_bucket{{service="{ONE}"}}'}
    assert ours
    chosen = {"service": ONE, "route": CLASSIFY}
    for _, target in queries("topfive.json", "Latency"):
        if target["legendFormat"] == "objective":
            continue
        share = int(target["legendFormat"].removeprefix("p")) / 100
        expression = as_grafana(target["expr"], over=scraped.whole, **chosen)
        shown = scraped.prometheus.number(expression, at=scraped.seen)
        theirs = seconds[math.ceil(share * len(seconds)) - 1]
        place = bisect_left(DURATION_BUCKETS, theirs)
        assert (0.0, *DURATION_BUCKETS)[place] <= shown <= DURATION_BUCKETS[place], target["legendFormat"]
