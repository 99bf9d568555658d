"""`topfive import --find`: the customary preprocessings on labelled photos, ranked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from topfive_pipeline.commands.lines import customary, flags
from topfive_pipeline.commands.screen import Screen, print_json
from topfive_pipeline.importer import Plan, must_have_labels, original_graph
from topfive_pipeline.proof.photos import Photo
from topfive_pipeline.proof.ranking import MOST, Ranked, labelled, rank, try_out


def find_best(planned: Plan, photos: Sequence[Photo], screen: Screen, *, as_json: bool, start: str) -> int:
    """Rank the preprocessings and show them, with a command line that begins with `start`; the exit code."""
    must_have_labels(planned)
    known = labelled(photos, what_for="--find")
    tried = customary(planned)
    if planned.resolved.rules is not None:
        said = planned.resolved.rules
        same = [name for name, rules in tried if rules == said]
        tried = [("as said", said), *((name, rules) for name, rules in tried if name not in same)]
    with screen.counting("photos") as progress:
        ranked = rank(
            try_out(
                original_graph(planned),
                planned.output.name,
                tried,
                known,
                layout=planned.network.layout,
                scores=planned.scores,
                progress=progress,
            )
        )
    if as_json:
        print_json({"photos": len(known), "ranked": [asdict(each) | {"clear": each.clear} for each in ranked]})
        return 0
    screen.table(
        f"{ranked[0].photos} photos (the hopeless got fewer); loss is -log of the true label's probability, in nats",
        ("preprocessing", "loss", "behind the best", "top-1", ""),
        [_row(each, first=place == 0) for place, each in enumerate(ranked)],
    )
    together = [each.name for each in ranked[1:] if not each.clear]
    if together:
        screen.say(
            f"\nThese photos cannot tell it from: {'; '.join(together)}. Take the one that the network was trained "
            f"with, or give more photos (at most {MOST} are used)."
        )
    best = ranked[0].rules
    assert best is not None
    screen.say("\nTo import with the best:\n")
    screen.command(f"{start} {flags(planned, best)}")
    return 0


def _row(each: Ranked, *, first: bool) -> tuple[str, ...]:
    behind = "" if first else f"{each.behind:+.3f} ± {each.error:.3f}"
    verdict = "" if first else "clearly worse" if each.clear else "cannot be told apart"
    return each.name, f"{each.loss:.3f}", behind, f"{each.top_1:.1%}", verdict
