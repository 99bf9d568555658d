"""The options of the commands: what each is called for people, and how it is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from loadgen.cli import positive, several
from loadtests import queries, shapes
from loadtests.queries import Scenario
from loadtests.results import MIXES, Mix
from loadtests.shapes import Shape

Mixes = Annotated[Sequence[Mix], Option(parser=several(str, allowed=MIXES), metavar="MIX,MIX", help="random,complex")]
OpenMixes = Annotated[
    Sequence[Mix], Option(parser=several(str, allowed=MIXES), metavar="MIX,MIX", help="of the open loops")
]
Rates = Annotated[
    Sequence[float],
    Option(parser=several(float), metavar="N,N", help="open loops at these requests per second too"),
]
Objectives = Annotated[
    Sequence[float], Option(parser=several(float), metavar="MS,MS", help="search capacities at these")
]
Workers = Annotated[Sequence[int], Option(parser=several(positive), metavar="N,N", help="at once, in the closed loops")]
Shapes = Annotated[
    Sequence[Shape], Option(parser=several(str, allowed=[*shapes.SHAPES]), metavar="SHAPE", help="spike,soak,ramp too")
]
Scenarios = Annotated[
    Sequence[Scenario],
    Option(
        parser=several(str, allowed=queries.SCENARIOS),
        metavar="HOW",
        help="of raw,jpeg,oip; or grpc alone (default: all that the server speaks over HTTP)",
    ),
]
Url = Annotated[str, Option(help="any server of the Open Inference Protocol")]
Name = Annotated[str, Option(help="of the run, in comparisons (default: what the server calls itself)")]
Model = Annotated[str, Option(help="the model to ask")]
Repository = Annotated[Path, Option(metavar="DIR", help="its graphs: they say what is right")]
Photos = Annotated[
    Path | None, Option(metavar="DIR", help="JPEG files to send (default: photos of installed packages)")
]
Grpc = Annotated[str, Option(metavar="HOST:PORT", help="where its gRPC is")]
MetricsUrl = Annotated[str, Option(metavar="URL", help="its metrics (default: /metrics)")]
Pid = Annotated[int | None, Option(help="of a server on this machine that does not tell its CPU and memory")]
Seed = Annotated[int, Option(help="of everything that is drawn")]
NoNull = Annotated[bool, Option("--no-null", help="leave the generators' own limits unmeasured")]
MarksPort = Annotated[int | None, Option(metavar="PORT", help="tell Prometheus there what is being measured")]
Output = Annotated[Path, Option(metavar="DIR", help="for the report")]
Baseline = Annotated[Path | None, Option(metavar="FILE", help="an earlier run.json to compare with")]
Slo = Annotated[Path | None, Option(metavar="FILE", help="objectives: judge it, and exit with 1 if it misses one")]
Stored = Annotated[Path, Argument(metavar="RUN", help="a run.json")]
