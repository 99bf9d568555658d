"""What is told of a plan: the answer in a sentence, and tables in sections."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Final

from topfive_pipeline.judging.tables import NOTHING, Section, Table, figure
from topfive_pipeline.planning.costs import Costs
from topfive_pipeline.planning.planner import SLICE, Option, Told
from topfive_pipeline.planning.scaling import FULL, needs
from topfive_pipeline.under_load.load import Probe

_MS: Final = 1e3
_MONTH_HOURS: Final = 730
SOURCE: Final = (
    "Simulated, not measured: servers run the service's own batching in virtual time, with the stage costs below."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Of an hour, in any currency; 0 where it is not known."""

    core: float = 0.0
    gpu: float = 0.0

    def month(self, option: Option) -> float:
        """Of all servers of `option`."""
        return _MONTH_HOURS * (self.core * option.cores + self.gpu * option.gpus)


def summary(told: Told) -> str:
    """The answer in a sentence."""
    demand, chosen = told.demand, told.chosen
    what = f"{demand.rate:,.0f} images/s within {demand.objective.text}".replace(",", " ")
    if chosen is None:
        best = min((option.probe for option in told.options), key=told.demand.objective.margin)
        percent = demand.objective.limits[0].percent
        return f"{what}: no number of these servers holds it; the shortest p{percent} is {_ms(best.at(percent))} ms"
    return f"{what}: {_servers(chosen)}, and one more to bear the loss of one"


def options(told: Told, prices: Prices) -> Table:
    """A row for each option."""
    columns = ("server", "batches of", "servers", "cores", "GPUs", "busy", "p50, ms", "p99, ms", "a month")
    return Table(columns, tuple(_option(option, prices) for option in told.options))


def _option(option: Option, prices: Prices) -> tuple[str, ...]:
    costs, found = option.costs, bool(option.replicas)
    month = prices.month(option)
    return (
        f"{costs.cores} cores, {costs.engine}",
        str(costs.batch_size_that_pays),
        str(option.replicas) if found else "not at any number",
        str(option.cores) if found else NOTHING,
        str(option.gpus) if option.gpus else NOTHING,
        f"{option.busy:.0%}",
        _ms(option.probe.at("50")),
        _ms(option.probe.at("99")),
        figure(month) if month and found else NOTHING,
    )


def curve(told: Told) -> Table:
    """The chosen fleet at other rates."""
    rows = [(figure(probe.rate), *_figures(probe), _held(told, probe)) for probe in told.curve]
    return Table(("images/s", "p50, ms", "p99, ms", "refused", "objective"), tuple(rows))


def events(told: Told) -> Table:
    """What happens with one server more than it needs."""
    rows: list[tuple[str, ...]] = []
    if told.spare is not None and told.lost is not None and told.rollout is not None:
        for what, probe in (
            ("nothing happens", told.spare.probe),
            ("ten seconds from the loss of one on", told.lost),
            ("while all are replaced, one by one", told.rollout),
        ):
            rows.append((what, *_figures(probe), _ms(probe.at("100")), _held(told, probe)))
    return Table(("with one server more", "p50, ms", "p99, ms", "refused", "longest, ms", "objective"), tuple(rows))


def costs_table(costs: Costs) -> Table:
    """The stages of an average request, in core seconds."""
    whole = sum(kind.share for kind in costs.kinds)

    def mean(stage: str) -> float:
        return sum(kind.share * float(getattr(kind, stage)) for kind in costs.kinds) / whole

    rows = [
        ("decoding", _ms(mean("decode_seconds"))),
        ("resizing", _ms(mean("resize_seconds"))),
        *((f"network, batch of {size}, an image", _ms(took / size)) for size, took in costs.batch_seconds.items()),
        ("network, beside other slots, times", f"{fmean(costs.spread_beside):.2f}"),
        ("event loop and kernel", _ms(costs.loop_seconds)),
        *([("network, a lone image on all cores", _ms(fmean(costs.alone)))] if costs.alone else []),
        ("start of a server", f"{costs.start_seconds * _MS:.0f}"),
    ]
    return Table(("stage", "ms"), tuple(rows))


def needs_table(costs: Costs, rate: float) -> Table:
    """What a rate takes of each resource."""
    rows = [(need.what, figure(need.each), f"{need.count:,}".replace(",", " ")) for need in needs(costs, rate)]
    return Table(("resource", "images/s when full", "for the rate"), tuple(rows))


def sections(told: Told, prices: Prices) -> list[Section]:
    """The report."""
    costs = (told.chosen or told.options[0]).costs
    found = [
        Section(key="options", title="Servers", lead=SOURCE, tables=(options(told, prices),), notes=tuple(notes(told))),
    ]
    if told.chosen is not None:
        found += [
            Section(
                key="curve", title="Latency against load", lead="Of the fleet that was chosen.", tables=(curve(told),)
            ),
            Section(
                key="events",
                title="A lost server, and a rollout",
                lead="A lost server is noticed after one second; its requests are then sent to another, once.",
                tables=(events(told),),
            ),
        ]
    found += [
        Section(
            key="needs",
            title="What bounds it",
            lead=f"By arithmetic, at {FULL:.0%} of each resource; what bears least comes first.",
            tables=(needs_table(costs, told.demand.rate), needs_table(costs, 1e6)),
            notes=(f"The first table is for {told.demand.rate:g} images/s, the second for a million.",),
        ),
        Section(
            key="costs",
            title="What a request costs",
            lead=f"Measured on {costs.cpu} with {costs.engine}, as the server runs it.",
            tables=(costs_table(costs),),
        ),
    ]
    return found


def notes(told: Told) -> list[str]:
    """What a reader should know beside the figures."""
    found = []
    if told.chosen is not None and told.chosen.replicas > SLICE:
        found.append(
            f"{SLICE} servers with their share of the rate were simulated, and stand for all; so the lost one is "
            f"one of {SLICE}, which is worse than one of {told.chosen.replicas}"
        )
    if any(not option.costs.alone for option in told.options) and any(option.costs.alone for option in told.options):
        found.append("a lone image gets no more than a slot where the number of cores is not the measured one")
    trace = told.demand.trace
    if trace is not None:
        found.append(
            f"the trace has {len(trace.requests)} requests in {trace.seconds:.0f} s, {trace.rate:.1f} images/s on "
            f"average; {trace.skipped} lines were no inference; the loss and the rollout are simulated with "
            "arrivals of independent clients"
        )
    return found


def to_dict(told: Told, prices: Prices) -> dict[str, Any]:
    """All of it, for programs."""

    def of_probe(probe: Probe) -> dict[str, Any]:
        figures = {f"p{percent}_seconds": probe.at(percent) for percent in ("50", "90", "99")}
        known = {name: value if math.isfinite(value) else None for name, value in figures.items()}
        return {"rate": probe.rate, **known, "failed_share": probe.failed_share, "answers": len(probe.latencies)}

    def of_option(option: Option) -> dict[str, Any]:
        return {
            "server_cores": option.costs.cores,
            "engine": option.costs.engine,
            "batch_limit": option.costs.batch_size_that_pays,
            "servers": option.replicas or None,
            "gpus": option.gpus,
            "busy": option.busy,
            "month": prices.month(option),
            "at_rate": of_probe(option.probe),
        }

    return {
        "rate": told.demand.rate,
        "objective": told.demand.objective.text,
        "summary": summary(told),
        "options": [of_option(option) for option in told.options],
        "chosen": None if told.chosen is None else of_option(told.chosen),
        "curve": [of_probe(probe) for probe in told.curve],
        "lost": None if told.lost is None else of_probe(told.lost),
        "rollout": None if told.rollout is None else of_probe(told.rollout),
    }


def _servers(option: Option) -> str:
    costs = option.costs
    gpus = f" and {option.gpus} GPUs" if option.gpus else ""
    many = "servers" if option.replicas > 1 else "server"
    return f"{option.replicas} {many} of {costs.cores} cores{gpus}, batches of {costs.batch_size_that_pays} at most"


def _figures(probe: Probe) -> tuple[str, str, str]:
    return _ms(probe.at("50")), _ms(probe.at("99")), f"{probe.failed_share:.2%}"


def _held(told: Told, probe: Probe) -> str:
    return "holds" if told.demand.objective.margin(probe) <= 0 else "missed"


def _ms(seconds: float) -> str:
    return figure(seconds * _MS) if math.isfinite(seconds) else NOTHING
