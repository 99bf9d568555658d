"""A burst on an idle service: many clients at once, with one image each. How many of them are answered?

`python -m benchmarks burst` starts a service for each `max_queue_wait_seconds`, in turns. During the burst a service
knows the cost of an image only from its measurement at the start.
"""

import socket
import statistics
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from typing import Annotated

from typer import Option

from benchmarks import options as o
from benchmarks import report, workloads
from benchmarks.server import Address, Service
from topfive_loadgen import tables, verdict
from topfive_loadgen.asking import exchange
from topfive_loadgen.cli import several

OK, REFUSED = 200, 429


def burst(address: Address, requests: Sequence[bytes], *, clients: int) -> list[tuple[int, float]]:
    """Status and seconds of one request of each client; all `clients` begin together."""
    start = threading.Barrier(clients)
    answers: list[tuple[int, float]] = []

    def ask(request: bytes) -> None:
        with socket.create_connection(address, timeout=60) as connection:
            start.wait()
            began = time.monotonic()
            status = exchange(connection, request).status
            answers.append((status, time.monotonic() - began))

    threads = [threading.Thread(target=ask, args=(requests[number % len(requests)],)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def main(
    *,
    model_repository: o.Repository = o.REPOSITORY,
    scenario: o.Scenario = "raw224",
    images: o.Images = None,
    clients: Annotated[int, Option(metavar="N", help="how many clients at once, with one image each")] = 64,
    rounds: o.Rounds = 3,
    wait: Annotated[
        Sequence[float],
        Option(parser=several(float), metavar="SECONDS,SECONDS", help="values of max_queue_wait_seconds to try"),
    ] = (0.25, 0.5, 1.0, 2.0),
) -> int:
    """A burst on an idle service: how many of the clients are answered? All others must be refused."""
    requests = [workloads.request(payload) for payload in workloads.load(images)[scenario]]
    found: dict[float, list[list[tuple[int, float]]]] = {one: [] for one in wait}
    for _ in range(rounds):
        for one, turns in found.items():
            with closing(Service(model_repository.resolve(), f"--max-queue-wait-seconds={one}")) as service:
                turns.append(burst(service.address, requests, clients=clients))
    lines = [("max_queue_wait_seconds", f"answered of {clients}, each round", "slowest answer, median")]
    for one, turns in found.items():
        served = ", ".join(str(sum(status == OK for status, _ in answers)) for answers in turns)
        slowest = statistics.median(
            max((took for status, took in answers if status == OK), default=0.0) for answers in turns
        )
        lines.append((f"{one:g}", served, f"{1e3 * slowest:.0f} ms"))
    statuses = [str(status) for turns in found.values() for answers in turns for status, _ in answers]
    others = [status for status in statuses if status not in {str(OK), str(REFUSED)}]
    return report.finish(
        [verdict.none_of("answers but 200 and 429", others)], shown=[tables.markdown(tables.of(lines))]
    )
