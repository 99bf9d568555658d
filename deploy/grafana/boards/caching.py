"""The row of the service's dashboard on the answer cache: how many images it answers, what it holds, what leaves it."""

from typing import Final

from deploy.grafana.boards.layout import PanelRow, Row
from deploy.grafana.boards.panels import Query, lines
from deploy.grafana.boards.queries import MODEL, WHERE, per_second

_IMAGES: Final = "topfive_cache_images_total"


def cached() -> Row:
    """The row; without a cache its panels are empty."""
    hits = per_second(f'{_IMAGES}{{{MODEL}, result="hit"}}', by="service, model")
    all_of_them = per_second(f"{_IMAGES}{{{MODEL}}}", by="service, model")
    held = [
        lines(
            "Answer cache: hit rate",
            "Share of the images whose answer was in the cache, so that nothing ran for them. Empty where "
            "answer_cache_bytes is 0 (docs/cache.md).",
            Query(f"{hits} / ({all_of_them} > 0)", "{{service}} {{model}}"),
            unit="percentunit",
            most=1,
            values=False,
        ),
        lines(
            "Answer cache: memory",
            "Bytes that the answers take, of all worker processes, and the most that they may take.",
            Query(f"sum by (service) (topfive_cache_bytes{{{WHERE}}})", "{{service}}"),
            Query(f"sum by (service) (topfive_cache_bytes_limit{{{WHERE}}} > 0)", "{{service}} limit"),
            unit="bytes",
            values=False,
        ),
        lines(
            "Answer cache: what leaves",
            "Answers per second that left: for others (full), by their age (expired), with their model (retired). If "
            "most leave as full, more bytes would give more hits.",
            Query(per_second(f"topfive_cache_evictions_total{{{WHERE}}}", by="reason"), "{{reason}}"),
            unit="ops",
            values=False,
        ),
    ]
    return Row("What comes again?", [PanelRow(held)])
