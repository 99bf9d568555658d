"""A burst on an idle service: so many clients at once, one image each, and how many of them are answered.

`python -m benchmarks.burst` starts a service for each `max_queue_wait_seconds`, in turns. What it measured at its start
is all that it knows of the cost of an image then.
"""

import argparse
import socket
import statistics
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from benchmarks import workloads
from benchmarks.server import ROOT, Address, Service
from loadgen.asking import exchange

OK, REFUSED = 200, 429


def burst(address: Address, requests: Sequence[bytes], *, clients: int) -> list[tuple[int, float]]:
    """Status and seconds of one request of each of `clients`, which begin together."""
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


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: a line for each setting, over all rounds; 1 if anything but 200 and 429 was answered."""
    options = _parser().parse_args(arguments)
    payloads = workloads.load(options.images)[options.scenario]
    requests = [workloads.request(payload) for payload in payloads]
    found: dict[float, list[list[tuple[int, float]]]] = {wait: [] for wait in options.wait}
    for _ in range(options.rounds):
        for wait, rounds in found.items():
            flag = f"--max-queue-wait-seconds={wait}"
            with closing(Service(options.model_repository.resolve(), flag)) as service:
                rounds.append(burst(service.address, requests, clients=options.clients))
    print(f"| max_queue_wait_seconds | answered of {options.clients}, each round | slowest answer, median |")
    print("|---:|---|---:|")
    for wait, rounds in found.items():
        served = ", ".join(str(sum(status == OK for status, _ in answers)) for answers in rounds)
        slowest = statistics.median(
            max((took for status, took in answers if status == OK), default=0.0) for answers in rounds
        )
        print(f"| {wait:g} | {served} | {1e3 * slowest:.0f} ms |")
    statuses = {status for rounds in found.values() for answers in rounds for status, _ in answers}
    return int(not statuses <= {OK, REFUSED})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks.burst", description=__doc__.partition(":")[0])
    add = parser.add_argument
    add("--model-repository", type=Path, default=ROOT / "model_repository", metavar="DIR")
    add("--scenario", choices=workloads.SCENARIOS, default=workloads.RAW224)
    add("--images", type=Path, metavar="DIR", help="JPEG photos to send (default: photos of installed packages)")
    add("--clients", type=int, default=64, metavar="N")
    add("--rounds", type=int, default=3, metavar="N")
    add("--wait", type=float, nargs="+", default=[0.25, 0.5, 1.0, 2.0], metavar="SECONDS")
    return parser


if __name__ == "__main__":
    sys.exit(main())
