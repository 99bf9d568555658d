"""Locust's users: each is a client with one request in flight that checks every answer.

`query_files` has the queries, `queries` judges the answers, and `shapes` or Locust's options set the number of users.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from time import monotonic
from typing import Any, ClassVar, Final

import gevent
import grpc
import grpc.experimental.gevent
from geventhttpclient.connectionpool import ConnectionPool
from locust import FastHttpUser, User, task
from tritonclient.grpc import service_pb2, service_pb2_grpc

from loadtests import queries
from loadtests.queries import Query, Scenario
from loadtests.recorder import Sample
from topfive_loadgen import sockets, tensors
from topfive_loadgen.schedule import order

PATIENCE_SECONDS: Final = 60.0
AFTER_ERROR_SECONDS: Final = 0.1
"""A pause after an error. Without it, users of a server that refuses would send thousands of requests per second."""

NO_LATENCY: Final = None
"""What Locust is told of a failure's time: its own table and page would count a fast refusal as a fast answer."""

_numbers = itertools.count()

# The client library calls this hook for each new connection.
ConnectionPool.after_connect = lambda _, connection: sockets.prepare(connection)


class _Sender:
    """The common part of all users: it draws the next query, and records the result."""

    scenarios: ClassVar[tuple[Scenario, ...]]

    def begin(self, environment: Any) -> None:
        options = environment.parsed_options
        self._environment = environment
        every: list[Query] = environment.queries
        wanted = [one for one in every if one.mix == options.mix and one.scenario in self.scenarios]
        if not wanted:
            raise RuntimeError(f"there are no queries for {type(self).__name__} in the mix {options.mix!r}")
        self._queries = wanted
        process = getattr(environment.runner, "worker_index", 0)  # exists only with --processes
        self._order = order(len(wanted), seed=f"{options.seed}/{process}/{next(_numbers)}")

    def draw(self) -> Query:
        return self._queries[next(self._order)]

    def note(self, query: Query, *, started: float, ended: float, error: str) -> None:
        environment = self._environment
        if environment.recorder:
            users = environment.runner.user_count
            environment.recorder.add(Sample(started, ended, query.scenario, query.kind, error, users))
        if error:
            gevent.sleep(AFTER_ERROR_SECONDS)


class _HttpUser(_Sender, FastHttpUser):
    abstract = True
    connection_timeout = network_timeout = PATIENCE_SECONDS

    def on_start(self) -> None:
        self.begin(self.environment)

    @task
    def classify(self) -> None:
        """Send one query, and check its answer."""
        query = self.draw()
        started = monotonic()
        with self.client.post(
            query.path,
            data=query.body,
            headers=dict(query.headers),
            name=f"{query.scenario}: {query.kind}",
            catch_response=True,
        ) as answer:
            ended = monotonic()
            error = _fault(query, answer)
            if error:
                answer.request_meta["response_time"] = NO_LATENCY
                answer.failure(error)
        self.note(query, started=started, ended=ended, error=error)


class Raw(_HttpUser):
    """Uint8 pixels to `/v1/classify`."""

    scenarios = ("raw",)


class Jpeg(_HttpUser):
    """Encoded files to `/v1/classify`."""

    scenarios = ("jpeg",)


class Oip(_HttpUser):
    """Pixels as a binary tensor of the Open Inference Protocol, for any server that speaks it."""

    scenarios = ("oip",)


class Mixed(_HttpUser):
    """All scenarios over HTTP, or those that `--scenarios` names."""

    scenarios = queries.HTTP_SCENARIOS

    def begin(self, environment: Any) -> None:
        named = environment.parsed_options.scenarios
        if named:
            self.scenarios = tuple(named.split(","))  # type: ignore[misc]
        super().begin(environment)


class Grpc(_Sender, User):
    """Pixels by the Open Inference Protocol over gRPC, at `--grpc-target`."""

    scenarios = ("grpc",)

    def on_start(self) -> None:
        target = self.environment.parsed_options.grpc_target
        if not target:
            raise RuntimeError("users of gRPC need --grpc-target host:port")
        self.begin(self.environment)
        self._channel = grpc.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)])
        self._stub = service_pb2_grpc.GRPCInferenceServiceStub(self._channel)
        # Parsed once: parsing is the client's work, which is not measured.
        self._requests = {one.body: service_pb2.ModelInferRequest.FromString(one.body) for one in self._queries}

    def on_stop(self) -> None:
        self._channel.close()

    @task
    def infer(self) -> None:
        """Send one query, and check its answer."""
        query = self.draw()
        request = self._requests[query.body]
        answer, error, failure = None, "", None
        started = monotonic()
        try:
            answer = self._stub.ModelInfer(request, timeout=PATIENCE_SECONDS)
        except grpc.RpcError as raised:
            error, failure = raised.code().name, raised
        ended = monotonic()
        if answer is not None and next(tensors.strings(answer.raw_output_contents[0])) != query.expected:
            error = "wrong label"
            failure = AssertionError(error)
        self.environment.events.request.fire(
            request_type="gRPC",
            name=f"{query.scenario}: {query.kind}",
            response_time=NO_LATENCY if error else (ended - started) * 1e3,
            response_length=answer.ByteSize() if answer is not None else 0,
            exception=failure,
            context={},
        )
        self.note(query, started=started, ended=ended, error=error)


def prepare_grpc() -> None:
    """Make gRPC cooperate with gevent; called before the first channel is made."""
    grpc.experimental.gevent.init_gevent()


def _fault(query: Query, answer: Any) -> str:
    if not answer.status_code:  # Locust's sign that no answer came
        return f"no answer: {type(answer.error).__name__}"
    headers: Mapping[str, str] = answer.headers
    return queries.judge(query, status=answer.status_code, headers=headers, body=answer.content)
