"""The options of the commands: their help texts and parsers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from loadtests import queries, shapes
from loadtests.queries import Scenario
from loadtests.results import MIXES, Mix
from loadtests.shapes import Shape
from topfive_loadgen.cli import positive, several

Mixes = Annotated[
    Sequence[Mix],
    Option(parser=several(str, allowed=MIXES), metavar="MIX,MIX", help="mixes to send, of random,complex"),
]
OpenMixes = Annotated[
    Sequence[Mix], Option(parser=several(str, allowed=MIXES), metavar="MIX,MIX", help="mixes to send in the open loops")
]
Rates = Annotated[
    Sequence[float],
    Option(parser=several(float), metavar="N,N", help="also run open loops at these rates (requests per second)"),
]
Objectives = Annotated[
    Sequence[float],
    Option(parser=several(float), metavar="MS,MS", help="search the highest rate with each of these p99"),
]
Workers = Annotated[
    Sequence[int], Option(parser=several(positive), metavar="N,N", help="numbers of workers in the closed loops")
]
Shapes = Annotated[
    Sequence[Shape],
    Option(parser=several(str, allowed=[*shapes.SHAPES]), metavar="SHAPE", help="also run these, of spike,soak,ramp"),
]
Scenarios = Annotated[
    Sequence[Scenario],
    Option(
        parser=several(str, allowed=queries.SCENARIOS),
        metavar="HOW",
        help="what to send, of raw,jpeg,oip; or grpc alone (default: all that the server takes over HTTP)",
    ),
]
Url = Annotated[str, Option(help="the server to test: any that speaks the Open Inference Protocol")]
Name = Annotated[str, Option(help="name of the run in comparisons (default: the server's own name)")]
Model = Annotated[str, Option(help="the model to ask")]
Repository = Annotated[Path, Option(metavar="DIR", help="the model's graphs, which give the right answers")]
Photos = Annotated[
    Path | None, Option(metavar="DIR", help="JPEG files to send (default: photos of installed packages)")
]
Grpc = Annotated[str, Option(metavar="HOST:PORT", help="address of the server's gRPC")]
MetricsUrl = Annotated[str, Option(metavar="URL", help="the server's metrics (default: /metrics)")]
Pid = Annotated[int | None, Option(help="process id of a server on this machine whose metrics lack CPU and memory")]
Seed = Annotated[int, Option(help="seed of all random choices")]
NoNull = Annotated[bool, Option("--no-null", help="do not measure the generators' own limits")]
MarksPort = Annotated[int | None, Option(metavar="PORT", help="serve the current phase for Prometheus on this port")]
Output = Annotated[Path, Option(metavar="DIR", help="folder for the report")]
Baseline = Annotated[Path | None, Option(metavar="FILE", help="an earlier run.json to compare with")]
Slo = Annotated[Path | None, Option(metavar="FILE", help="objectives to judge the run by; a miss gives exit code 1")]
Stored = Annotated[Path, Argument(metavar="RUN", help="the run.json of a stored run")]
Patience = Annotated[
    float, Option(min=3.0, metavar="S", help="seconds without any answer after which the server counts as hung")
]
Quick = Annotated[bool, Option("--quick", help="in less than two minutes: less of everything that is not given")]
