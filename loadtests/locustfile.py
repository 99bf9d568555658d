"""The file that Locust loads: `locust -f loadtests/locustfile.py --host http://127.0.0.1:8000`.

It defines options, and sets up each of Locust's processes. The users are in `users`. `python -m loadtests run` starts
Locust with this file, and makes a report.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import gevent

# Locust loads this file by its path, so the folder of the package must be added to the import path.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from locust import LoadTestShape, events

from loadtests import corpus, query_files, shapes, users
from loadtests.oracle import Oracle
from loadtests.queries import SCENARIOS
from loadtests.recorder import Recorder
from loadtests.results import MIXES
from loadtests.target import in_int8
from loadtests.users import Grpc, Jpeg, Mixed, Oip, Raw

__all__ = ["Grpc", "Jpeg", "Mixed", "Oip", "Raw"]

_FLUSH_SECONDS: Final = 0.1
_HERE: Final = Path(__file__).resolve().parent

if any(argument.startswith("--load-shape") for argument in sys.argv):

    class Shaped(LoadTestShape):
        """Tells Locust the number of users, once a second. Defined only with `--load-shape`: it overrides `--users`."""

        def tick(self) -> tuple[int, float] | None:
            options = self.runner.environment.parsed_options
            plan = shapes.ShapeSize(users=options.shape_users, seconds=options.shape_seconds)
            count = shapes.users_at(options.load_shape, self.get_run_time(), plan)
            return None if count is None else (count, float(plan.users))


@events.init_command_line_parser.add_listener
def _add_options(parser: Any) -> None:
    add = parser.add_argument
    add("--mix", choices=MIXES, default=MIXES[0], env_var="LOADTEST_MIX", help="photos, or the worst legal images")
    add(
        "--scenarios",
        default="",
        env_var="LOADTEST_SCENARIOS",
        help="what users of the class Mixed send, of raw,jpeg,oip",
    )
    add("--photos", default="", env_var="LOADTEST_PHOTOS", help="a folder of JPEG files (default: photos of packages)")
    add(
        "--model-repository",
        default=str(_HERE.parent / "model_repository"),
        env_var="LOADTEST_MODEL_REPOSITORY",
        help="folder of the served graphs, which give the right answers",
    )
    add("--model", default="efficientnet_lite0", env_var="LOADTEST_MODEL", help="the model to ask")
    add("--grpc-target", default="", env_var="LOADTEST_GRPC_TARGET", help="host:port, for users of the class Grpc")
    add("--seed", default="1", env_var="LOADTEST_SEED", help="seed of the order of queries")
    add("--corpus", default="", help="a folder of queries made beforehand", include_in_web_ui=False)
    add("--null", action="store_true", help="expect what the null backend answers", include_in_web_ui=False)
    add("--samples", default="", help="a folder for every sample", include_in_web_ui=False)
    add(
        "--load-shape", choices=sorted(shapes.SHAPES), default=None, help="spike, soak or ramp", include_in_web_ui=False
    )
    add("--shape-users", type=int, default=16, help="the most users of the shape", include_in_web_ui=False)
    add("--shape-seconds", type=float, default=60.0, help="how long the shape lasts", include_in_web_ui=False)


@events.init.add_listener
def _prepare(environment: Any, **_: Any) -> None:
    options = environment.parsed_options
    users.prepare_grpc()
    if options.corpus:
        environment.queries = query_files.read(Path(options.corpus), null=options.null)
    else:
        served = in_int8(f"{environment.host}/metrics") if environment.host else ()
        oracle = Oracle(Path(options.model_repository), options.model, in_int8=served)
        folder = Path(options.photos) if options.photos else None
        photos = corpus.photos(folder, seed=int(options.seed), size=oracle.size)
        environment.queries = [*corpus.build(photos, oracle, mixes=MIXES, scenarios=SCENARIOS)]
    environment.recorder = Recorder(Path(options.samples)) if options.samples else None
    if environment.recorder:
        gevent.spawn(_flush_for_ever, environment.recorder)


@events.quitting.add_listener
def _finish(environment: Any, **_: Any) -> None:
    if environment.recorder:
        environment.recorder.flush()


def _flush_for_ever(recorder: Recorder) -> None:
    while True:
        gevent.sleep(_FLUSH_SECONDS)
        recorder.flush()
