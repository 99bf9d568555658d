"""Every figure of a judgement is in a table, named shortly, with what it means."""

from __future__ import annotations

from dataclasses import replace

import pytest

from topfive_pipeline.judging.accuracy import Difference
from topfive_pipeline.judging.contents import sections, summary
from topfive_pipeline.judging.intervals import Interval
from topfive_pipeline.judging.judge import Judgement
from topfive_pipeline.judging.limits import Limits
from topfive_pipeline.judging.results import short_names
from topfive_pipeline.judging.subjects import Missing
from topfive_pipeline.judging.tables import Section, figure, rounded, signed


def by_key(judgement: Judgement) -> dict[str, Section]:
    return {section.key: section for section in sections(judgement)}


def test_sections_in_their_order(judgement: Judgement) -> None:
    found = by_key(judgement)
    assert [*found] == ["choice", "accuracy", "difference", "speed", "footprint", "circumstances"]
    assert found["choice"].lead.startswith("2 of 3 models remain within 0.5 points of loss")
    assert found["difference"].title == "Against version 1"
    assert summary(judgement) == "pets:2, pets:3 against pets:1, on 60 photos"


def test_tables_are_rectangular(judgement: Judgement) -> None:
    for section in sections(judgement):
        for table in section.tables:
            assert {len(row) for row in table.rows} == {len(table.columns)}


def test_what_remains_is_marked(judgement: Judgement) -> None:
    (table,) = by_key(judgement)["choice"].tables
    verdicts = [row[-1] for row in table.rows]
    assert table.columns == ("pets", "top-1, points", "within the limits")
    assert sorted(verdicts[:2]) == ["✓", "✓ the best"]
    assert verdicts[2].startswith("✗ loses ")


def test_sections_without_figures_are_left_out(without_speed: Judgement) -> None:
    alone = replace(without_speed, models=without_speed.models[:1], choice=None)
    assert [*by_key(alone)] == ["accuracy", "footprint", "circumstances"]
    assert summary(replace(alone, part="judge")) == "pets:1, on 60 photos, the half that never calibrates"


def test_speed_has_a_row_for_each_model(judgement: Judgement) -> None:
    ratios, own = by_key(judgement)["speed"].tables
    assert ratios.columns == ("times as fast as version 1", "alone", "batch 1", "batch 3")
    assert [row[0] for row in ratios.rows] == ["version 2", "version 3"]
    assert own.columns == ("pets", "alone", "batch 1", "batch 3")
    assert " ms (" in own.rows[0][1]
    assert "/s (" in own.rows[0][2]


def test_what_nobody_can_run_is_a_row_without_figures_and_its_reason(
    judgement: Judgement, without_speed: Judgement
) -> None:
    missing = (Missing("onnxruntime bf16", "it has none"),)
    speed = by_key(replace(judgement, missing=missing))["speed"]
    assert [table.rows[-1] for table in speed.tables] == [("onnxruntime bf16", "–", "–", "–")] * 2
    assert speed.notes == ("onnxruntime bf16: it has none",)
    assert by_key(replace(without_speed, missing=missing))["circumstances"].notes[-1] == "onnxruntime bf16: it has none"


def test_fewer_rounds_are_said(judgement: Judgement) -> None:
    models = [
        replace(model, paces=(*model.paces[:-1], replace(model.paces[-1], rounds=(0.1,)))) for model in judgement.models
    ]
    (note,) = by_key(replace(judgement, models=tuple(models)))["speed"].notes
    assert note == "batch 3: 1 rounds rather than 2, for they take long"


@pytest.mark.parametrize(
    ("sign", "budget", "words"),
    [
        (60, 60, "these photos tell that it is worse than version 1; these photos tell that it loses no more than 5"),
        (
            None,
            123,
            "no number of photos like these would tell whether it is worse or better than version 1; about 120",
        ),
        (
            12345,
            None,
            "about 12 000 photos like these would tell whether it is worse or better than version 1; no number",
        ),
    ],
)
def test_what_the_photos_decide_is_said(
    sign: int | None, budget: int | None, words: str, without_speed: Judgement
) -> None:
    found = Difference(-0.01, Interval(-0.02, -0.001), 1, 0, -0.01, sign, budget, 1, 0, 0, 0, 0)
    models = (without_speed.models[0], replace(without_speed.models[1], difference=found))
    judgement = replace(without_speed, models=models, limits=Limits(loss=5), choice=None)
    assert by_key(judgement)["difference"].notes[0].startswith(f"version 2: {words}")


def test_models_of_several_names_keep_them(judgement: Judgement) -> None:
    first, second, _ = judgement.models
    assert short_names([first, replace(second, title="int8:1")]) == ("model", ["pets:1", "int8:1"])
    assert short_names([first]) == ("model", ["pets:1"])
    assert short_names([first, second]) == ("pets", ["version 1", "version 2"])


def test_ways_are_named_in_words(judgement: Judgement) -> None:
    first, second, _ = judgement.models
    one, other = replace(first, title="pets:1@onnxruntime-fp32"), replace(second, title="pets:1@openvino-bf16")
    assert short_names([one, other]) == ("pets:1", ["onnxruntime fp32", "openvino bf16"])
    assert short_names([first, other]) == ("pets", ["version 1", "version 1, openvino bf16"])
    assert short_names([one, replace(other, title="pets:2@int8")]) == (
        "pets",
        ["version 1, onnxruntime fp32", "version 2, int8"],
    )


def test_the_engines_that_ran_are_named(judgement: Judgement) -> None:
    (table,) = by_key(judgement)["circumstances"].tables
    assert "OpenVINO" not in table.rows[1][1]
    models = (replace(judgement.models[0], engine="openvino"), *judgement.models[1:])
    (table,) = by_key(replace(judgement, models=models))["circumstances"].tables
    assert table.rows[1][1].endswith(f", OpenVINO {judgement.machine.openvino}")


def test_figures_have_few_digits() -> None:
    assert [figure(value) for value in (1234.4, 34.56, 2.345)] == ["1234", "34.6", "2.35"]
    assert [signed(value, 2) for value in (0.5, -0.5, -0.001)] == ["+0.50", "−0.50", "0.00"]
    assert [rounded(value) for value in (7, 2593, 1_234_567)] == ["7", "2 600", "1 200 000"]
