"""What plots have in common is drawn as it is meant."""

from __future__ import annotations

from topfive_pipeline.judging.plots import empty, in_powers


def test_powers_are_written_as_numbers() -> None:
    """Not as mathematical text, which would be drawn letter by letter: in a name, a dollar is a dollar."""
    figure, axes = empty(3.0)
    axes.plot([1, 2], [12, 340])
    in_powers(axes)
    axes.set_ylim(9, 400)
    figure.canvas.draw()
    shown = {label.get_text() for label, at in zip(axes.get_yticklabels(), axes.get_yticks(), strict=True) if at < 300}
    assert {"10", "20", "50", "100", "200"} <= shown
    assert not any("$" in text for text in shown)
