"""Every panel has data, and the right data: the real Prometheus scrapes real services under real load.

Two services: one on the real models, and on one that fails on some images; the other of two worker processes, in front
of a Triton where there is one. What their clients counted is what the panels must show.
"""

from __future__ import annotations

import json
import math
import os
import re
import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil
import pytest

from benchmarks import tritonserver
from benchmarks.tritonserver import Tritonserver
from deploy.grafana.boards.files import files
from tests.conftest import Encode, Photo
from tests.testkit.baselines import BASE
from tests.testkit.drawing import NOT_DRAWN, drawing, needs_grafanas_components
from tests.testkit.oip_bodies import binary_image
from tests.testkit.prometheus import RATE_INTERVAL, Prometheus, Sample, needs_prometheus
from tests.testkit.serving_process import RAW, READY, ServingProcess, ask, classify_path
from tests.testkit.tiny_models import HIGHEST_VALUE, copy_real_repository, write_tiny_repository
from tests.testkit.trial_bench import write_versions
from topfive.observe.metrics import DURATION_BUCKETS
from topfive.repository.baseline import BASELINE, text_of

pytestmark = [needs_prometheus, pytest.mark.untraced]

ONE, TWO = "service", "service-triton"
"""Names of the two services, among those that the deployed configuration looks for."""
NO_TRITON: Final = tritonserver.missing()
CLASSIFY: Final = "/v1/classify"
INFER: Final = "/v2/models/efficientnet_lite0/infer"
STEP: Final = 0.5
SCRAPES: Final = 6
"""Of the load: enough for a rate at every moment that is looked at."""
SHORT_CACHE: Final = ("--answer-cache-bytes", "1000000", "--answer-cache-seconds", "0.2")
"""So short that there are hits and misses all the time."""
SHOP, CRAWLER = "a-key-of-the-shop-01", "a-key-of-the-crawler"
KEYS: Final = f"{SHOP} name=shop quota=1000000/day\n{CRAWLER} name=crawler quota=1/month\n"
"""The crawler has an answer before the load, and no more."""
BOARDS: Final = {name: json.loads(text) for name, text in files().items()}

SHARE: Final = (0.0, 1.0)
LATENCY: Final = (0.0001, 10.0)
SANE: Final = {
    "Ready": (1, 2),
    "Targets down": (1, 1),  # the Triton that is not there
    "Alerts firing": (1, 3),  # of the batches that fail, and what goes with them
    "Requests": (1, 1e5),
    "Errors": (0.0001, 0.9),
    "Refused": (0.0001, 0.9),
    "Requests by status": (0, 1e5),
    "Answered": (0.1, 0.9999),
    "In time": SHARE,
    "Budget of availability": (-1, 0.9999),
    "Budget of latency": (-1, 1),
    "Burn rate of availability": (0, 1000),
    "Burn rate of latency": (0, 100),
    "Error budget": (-1, 1),
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
    "In-flight bytes": (0, 2 * (512 << 20)),
    "gRPC places": (0, 128),
    "Refused, by reason": (0, 1e4),
    "Cores used": (0.001, 64),
    "Memory": (10 << 20, 1 << 50),
    "Images per second": (1, 1e5),
    "Images per CPU-second": (1, 1e5),
    "Models served": (1, 1),
    "Images per second by model": (0, 1e5),
    "Tenants: images per second": (0, 1e5),
    "Tenants: refused or failed": (0.001, 1e5),
    "Tenants: quota used": (1e-6, 1),
    "Answer cache: hit rate": SHARE,
    "Answer cache: memory": (0, 1e6),
    "Answer cache: what leaves": (0, 1e4),
    "Shadow: agreement": SHARE,
    "Shadow: change of probability": SHARE,
    "Shadow: time of the same requests": LATENCY,
    "Shadow: not answered, by reason": (0, 1e5),
    "Canary": (0.5, 0.5),
    "Canary: requests by arm": (0, 1e5),
    "Canary: faults": (0, 0),
    "Canary: time of an answer": LATENCY,
    "Drift": (0, 50),
    "Labels, against the baseline": (-1, 1),
    "Confidence": (0, 1e5),
    "Image sizes": (0.00001, 51),
    "Formats": SHARE,
}
"""The least and the most that each panel of the service may show of this load."""
OF_TRITON: Final = {
    "Up": (1, 1),
    "Failures": (0, 0),
    "Waiting": (0, 100),
    "Requests": (0, 1e5),
    "Failed requests": (0, 0),
    "Mean time of a request, by part": (0, 10),
    "Mean wait by model": (0, 10),
    "Mean run by model": (1e-6, 10),
    "Mean batch size": (1, 16),
    "Images per second": (0, 1e5),
    "CPU of Triton's machine": SHARE,
    "Memory of Triton's machine": (1 << 20, 1 << 50),
}
"""Likewise of Triton's, but for the GPU's."""


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

    def assert_sane(self, board: str, title: str, least: float, most: float, **chosen: str) -> None:
        """Each query of the panel shows something, and nothing beyond these bounds."""
        for _, target in queries(board, title):
            values = [sample.value for sample in self.values(target, **chosen)]
            assert values, f"nothing is shown for {target['expr']}"
            assert all(least <= value <= most for value in values), f"{target['expr']} is {values}"

    def over_the_load(self, title: str, legend: str, *, service: str, **chosen: str) -> float:
        """What one line of a panel shows of the whole load on a service.

        From scrape to scrape: beyond the first and the last, Prometheus extrapolates, each bucket by itself.
        """
        (target,) = [target for _, target in queries("topfive.json", title) if target["legendFormat"] == legend]
        first, last = self.scrapes(service)
        query = as_grafana(target["expr"], over=f"{round(1000 * (last - first)) + 1}ms", service=service, **chosen)
        return self.prometheus.number(query, at=last)

    def scrapes(self, service: str) -> tuple[float, float]:
        """When it was scraped last before the load, and after it."""
        query = f'timestamp(topfive_ready{{service="{service}"}})'
        return self.prometheus.number(query, at=self.began), self.prometheus.number(query, at=self.seen)

    def answers(self, panel: Mapping[str, Any]) -> list[Any]:
        """What Grafana is answered for each target of a panel, of all of the load."""
        found = []
        for target in panel["targets"]:
            expression = as_grafana(target["expr"])
            if target["format"] == "table":
                found.append([{"metric": sample.labels} for sample in self.prometheus.now(expression, at=self.ended)])
            else:
                found.append(self.prometheus.series(expression, start=self.began, end=self.ended, step=STEP))
        return found


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
    tiny = write_versions(tmp_path_factory.mktemp("tiny"))
    both = write_tiny_repository(
        copy_real_repository(tmp_path_factory.mktemp("models") / "all", classify_replacements={})
    )
    (both / "efficientnet_lite0" / BASELINE).write_text(text_of(BASE), encoding="utf-8")
    infer = binary_image(coffee[:224, :224][None])
    jpeg, raw = {"Content-Type": "image/jpeg"}, {"Content-Type": RAW}
    mixed = [
        (classify_path(model="efficientnet_lite0"), encode(cat, "JPEG"), jpeg),
        (INFER, infer.content, infer.headers),
        (classify_path(model="efficientnet_lite0", timeout_ms=1), encode(coffee, "PNG"), {"Content-Type": "image/png"}),
        (classify_path(model="efficientnet_lite0"), b"no photo", jpeg),
        (classify_path(model="tiny", height=4, width=6), bytes([HIGHEST_VALUE + 1]) * 72, raw),
    ]
    mixed = [(path, body, {**headers, "Authorization": f"Bearer {SHOP}"}) for path, body, headers in mixed]
    mixed.append((mixed[0][0], mixed[0][1], {**jpeg, "Authorization": f"Bearer {CRAWLER}"}))
    keys = tmp_path_factory.mktemp("keys") / "keys"
    keys.write_text(KEYS, encoding="utf-8")
    pairs = [(classify_path(height=4, width=6, count=2), bytes(144), raw)]
    with ExitStack() as stack:
        flags = ("--model-repository", str(both), "--api-keys-file", str(keys), *SHORT_CACHE)
        one = stack.enter_context(ServingProcess(*flags))
        backend, tritons = [], {"nobody": "127.0.0.1:1"}
        if not NO_TRITON:
            triton = stack.enter_context(closing(Tritonserver(tmp_path_factory.mktemp("triton"), tiny)))
            backend = ["--backend", "triton", "--triton-url", triton.url, "--triton-slots", "2"]
            tritons["triton"] = f"127.0.0.1:{triton.ports.metrics}"
        shadow = stack.enter_context(ServingProcess("--model-repository", str(tiny)))
        trials = ["--shadow", f"tiny=http://127.0.0.1:{shadow.port}?model=tiny@100%", "--canary", "tiny:3@50%"]
        shadow.wait_for_log(READY)
        two = stack.enter_context(ServingProcess("--workers", "2", "--model-repository", str(tiny), *trials, *backend))
        one.wait_for_log(READY)
        two.wait_for_log(READY, count=2)
        services = {ONE: f"127.0.0.1:{one.port}", TWO: f"127.0.0.1:{two.port}"}
        targets = {"topfive": services, "triton": tritons}
        prometheus = stack.enter_context(Prometheus(tmp_path_factory.mktemp("prometheus"), targets))
        clients = {ONE: Client(one, mixed), TWO: Client(two, pairs)}

        def all_seen() -> bool:
            counts = {name: prometheus.number(f"sum({requests_of(name)})") for name in clients}
            return all(counts[name] == client.statuses.total() for name, client in clients.items())

        for client in clients.values():  # a series that is new shows no increase: each is to be there before the load
            client.send_all()
        prometheus.wait_until(all_seen)
        for client in clients.values():
            client.seconds.clear()
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
    tritons = {("triton", "nobody")} if NO_TRITON else {("triton", "nobody"), ("triton", "triton")}
    assert found == {("topfive", ONE), ("topfive", TWO), *tritons}


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


@pytest.mark.parametrize("title", SANE)
def test_a_panel_shows_sane_values_of_the_load(scraped: Scraped, title: str) -> None:
    scraped.assert_sane("topfive.json", title, *SANE[title])


@pytest.mark.skipif(bool(NO_TRITON), reason=NO_TRITON)
@pytest.mark.parametrize("title", OF_TRITON)
def test_a_panel_of_triton_shows_sane_values_of_the_load(scraped: Scraped, title: str) -> None:
    scraped.assert_sane("triton.json", title, *OF_TRITON[title], instance=r"127.0.0.1:\\d\\d+")


def test_every_panel_is_looked_at() -> None:
    """But those of a GPU, which only a machine with one fills."""
    assert [title for title, _ in queries("topfive.json") if title not in SANE] == []
    assert [title for title, _ in queries("triton.json") if title not in OF_TRITON] == ["GPU", "GPU memory"]


@pytest.mark.parametrize("title", SANE)
def test_a_panel_follows_the_choice_of_a_service(scraped: Scraped, title: str) -> None:
    for _, target in queries("topfive.json", title):
        if "$service" in target["expr"]:
            shown = {sample.labels.get("service", TWO) for sample in scraped.values(target, service=TWO)}
            assert shown <= {TWO}
            assert scraped.values(target, service="nobody") == []


def test_where_nothing_went_wrong_the_shares_are_zero_not_blank(scraped: Scraped) -> None:
    for _, target in queries("topfive.json", "Errors", "Refused"):
        assert {sample.value for sample in scraped.values(target, service=TWO)} == {0}


def test_nothing_is_blank_while_no_request_has_come(scraped: Scraped) -> None:
    """What is known to be zero then, is zero."""
    for title, target in queries("topfive.json", "Ready", "Requests", "Requests by status", "Refused, by reason"):
        expression = as_grafana(target["expr"].replace("topfive_request_duration", "never_asked"))
        assert scraped.prometheus.now(expression, at=scraped.ended), title


def test_the_quantiles_agree_with_what_the_client_was_told(scraped: Scraped) -> None:
    """Each is in the bucket of the histogram that holds the client's own; between two ranks, in either's."""
    seconds = sorted(scraped.clients[ONE].seconds)
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        shown = scraped.over_the_load("Latency", name, service=ONE, route=CLASSIFY)
        rank = share * len(seconds)
        told = (seconds[math.ceil(rank) - 1], seconds[min(math.floor(rank), len(seconds) - 1)])
        low, high = (bisect_left(DURATION_BUCKETS, one) for one in told)
        assert (0.0, *DURATION_BUCKETS)[low] <= shown <= DURATION_BUCKETS[high], name


def test_the_stages_and_the_rest_add_up_to_the_mean_that_the_client_was_told(scraped: Scraped) -> None:
    seconds = scraped.clients[TWO].seconds
    names = ("decode", "resize", "queue", "inference", "rest")
    stack = [scraped.over_the_load("Mean time of a request, by stage", name, service=TWO) for name in names]
    assert sum(stack) == pytest.approx(sum(seconds) / len(seconds), rel=0.01)


def test_what_two_worker_processes_count_is_what_their_client_sent(scraped: Scraped) -> None:
    """Whichever of them is scraped: requests by status, images, stages, batches and refusals."""
    (sent,) = scraped.clients[TWO].statuses.items()

    def counted(counter: str) -> float:
        name, _, labels = counter.partition("{")
        return scraped.prometheus.number(f'sum({name}{{service="{TWO}",{labels or "}"})', at=scraped.seen)

    requests = scraped.clients[TWO].statuses[200]
    assert sent == (200, requests)
    assert counted('topfive_request_duration_seconds_count{code="200"}') == requests
    assert counted("topfive_request_duration_seconds_count") == requests
    assert counted('topfive_stage_duration_seconds_count{stage="queue"}') == requests
    assert counted('topfive_images_total{model="tiny"}') == 2 * requests
    assert counted("topfive_batch_size_sum") == 2 * requests
    assert counted("topfive_rejected_total") == 0
    assert counted("topfive_ready") == 2


def test_what_two_worker_processes_use_is_soon_what_the_kernel_says(scraped: Scraped) -> None:
    """The one that is not scraped tells its processor time, memory and slots once a second."""
    workers = psutil.Process(scraped.clients[TWO].service.pid).children()

    def told(metric: str) -> float:
        return scraped.prometheus.number(f'sum({metric}{{service="{TWO}"}})')

    def agrees() -> bool:
        used = sum(sum(worker.cpu_times()[:2]) for worker in workers)
        held = sum(worker.memory_info().rss for worker in workers)
        return (
            told("process_cpu_seconds_total") == pytest.approx(used, rel=0.05)
            and told("process_resident_memory_bytes") == pytest.approx(held, rel=0.1)
            and told("topfive_slots_busy") == 0
        )

    scraped.prometheus.wait_until(agrees)


def test_each_tenant_is_shown_with_what_its_own_limits_leave_it(scraped: Scraped) -> None:
    """The one within its quota is refused nothing for it; the other, whose quota is used up, gets nothing more."""

    def shown(title: str) -> dict[str, float]:
        (target,) = (target for _, target in queries("topfive.json", title))
        return {" ".join(sample.labels.values()): sample.value for sample in scraped.values(target)}

    answered, refused = shown("Tenants: images per second"), shown("Tenants: refused or failed")
    assert answered.keys() == {"shop", "crawler"}
    assert answered["shop"] > answered["crawler"] == 0
    limits = {name for name in refused if "rate_limited" in name or "quota_exceeded" in name}
    assert {frozenset(name.split()) for name in limits} == {frozenset({"crawler", "quota_exceeded"})}


def test_images_per_second_are_those_that_the_client_had_answered(scraped: Scraped) -> None:
    first, last = scraped.scrapes(TWO)
    shown = scraped.over_the_load("Images per second", "{{service}} {{instance}}", service=TWO)
    assert shown * (last - first) == pytest.approx(2 * len(scraped.clients[TWO].seconds), rel=0.01)


def test_the_alert_of_batches_that_fail_fires(scraped: Scraped) -> None:
    (sample,) = scraped.prometheus.now('ALERTS{alertname="TopfiveBatchFailures",alertstate="firing"}', at=scraped.ended)
    assert (sample.labels["service"], sample.labels["model"]) == (ONE, "classify")


@needs_grafanas_components
def test_every_panel_is_drawn_whole(scraped: Scraped, tmp_path: Path) -> None:
    """By Grafana's own components: no panel is empty, no line is missing, and no text is cut off.

    PANELS_PICTURE names a file to keep the picture in, to look at it.
    """
    panels = [panel for panel in BOARDS["topfive.json"]["panels"] if panel["type"] != NOT_DRAWN]
    drawn, picture = {}, Path(os.environ.get("PANELS_PICTURE", tmp_path / "panels.png"))
    with drawing() as canvas:
        asked = {panel["id"]: scraped.answers(panel) for panel in panels if panel["type"] != "row"}
        for panel in panels:
            answers = asked.get(panel["id"], [])
            canvas.draw(panel, answers, start=scraped.began, end=scraped.ended, step=STEP)
        canvas.finish(picture)
        drawn = {panel["id"]: canvas.look_at(panel) for panel in panels}
        assert canvas.complaints == []
    cut = {panel["title"]: list(drawn[panel["id"]].cut_off) for panel in panels}
    assert {title: texts for title, texts in cut.items() if texts} == {}
    for panel in panels:
        seen, title = drawn[panel["id"]], panel["title"]
        assert title in seen.text
        if panel["type"] == "timeseries":
            assert len(seen.legend) == sum(map(len, asked[panel["id"]])), f"{title}: {seen.legend}"
            assert seen.ink > 50 * len(seen.legend), f"{title} has next to no lines"
        elif panel["type"] == "stat":
            assert re.search(r"\d", seen.text), f"{title}: {seen.text}"
        if title == "Ready":
            assert {ONE, TWO} <= set(seen.text.splitlines()), "each number has the name of its service"


def test_a_start_is_marked_when_it_was(scraped: Scraped) -> None:
    marker = next(marker for marker in BOARDS["topfive.json"]["annotations"]["list"] if marker["useValueForTime"])
    (sample,) = scraped.values({"expr": marker["expr"], "instant": True}, service=ONE)
    began = psutil.Process(scraped.clients[ONE].service.pid).create_time()
    assert 1000 * (began - 1) <= sample.value <= 1000 * scraped.began
