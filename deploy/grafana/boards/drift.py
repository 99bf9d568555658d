"""The row of the service's dashboard on drift: whether images and answers are what they were."""

from typing import Final

from deploy.grafana.boards import panels as p
from deploy.grafana.boards.layout import PanelRow, Row
from deploy.grafana.boards.panels import Query, heatmap, lines
from deploy.grafana.boards.queries import MODEL, per_second, quantile

_LITTLE, _MUCH = 0.1, 0.25
"""As rules/drift.yml has them."""
_OF_MODEL: Final = 'service=~"$service", model=~"$model"'
_OF_LABELS: Final = f'{{{_OF_MODEL}, signal="labels"}}'
_CHANGE: Final = f"(topfive:drift:share1h{_OF_LABELS} - topfive:drift:baseline_share{_OF_LABELS})"
_QUANTILES: Final = (("p10", 0.1), ("p50", 0.5), ("p90", 0.9))


def same() -> Row:
    """The row on the last hour against the baseline, and on what is sent and answered now."""
    against_baseline = [
        lines(
            "Drift",
            "How far the last hour is from the model's baseline, by signal: the population stability index, less what "
            "chance alone makes of so few images. From 0.1 it is worth a look; above 0.25, if it lasts, TopfiveDrift "
            "fires. Empty without a baseline (docs/drift.md).",
            Query(f"topfive:psi:1h{{{_OF_MODEL}}}", "{{service}} {{model}} {{signal}}"),
            unit="none",
            steps=((p.GREEN, None), (p.ORANGE, _LITTLE), (p.RED, _MUCH)),
            values=False,
        ),
        lines(
            "Labels, against the baseline",
            "Share of each first label in the last hour less its share in the baseline: those that rose and fell most.",
            Query(f"topk(4, {_CHANGE}) or bottomk(4, {_CHANGE})", "{{bucket}}"),
            unit="percentunit",
            values=False,
        ),
    ]
    formats = f"topfive_image_formats_total{{{MODEL}}}"
    now = [
        heatmap(
            "Confidence",
            "Images per second by the probability of their first label. A model that meets what it never learnt is "
            "often, and not always, less sure.",
            per_second(f"topfive_confidence_bucket{{{MODEL}}}", by="le"),
            unit="percentunit",
            decimals=2,
        ),
        lines(
            "Image sizes",
            "Megapixels of the images as they were sent: one in ten is smaller than p10, one in ten larger than p90.",
            *(
                Query(quantile(number, f"topfive_image_megapixels_bucket{{{MODEL}}}"), name)
                for name, number in _QUANTILES
            ),
            unit="none",
        ),
        lines(
            "Formats",
            "Share of the images answered in each format; raw is pixels without a file.",
            Query(
                f"({per_second(formats, by='format')} > 0) / on () group_left () ({per_second(formats)} > 0)",
                "{{format}}",
            ),
            unit="percentunit",
            stacked=True,
            most=1,
            values=False,
        ),
    ]
    return Row("Are images and answers what they were?", [PanelRow(against_baseline), PanelRow(now)])
