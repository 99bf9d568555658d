"""The sessions that are judged are those that the server opens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from topfive.backends.engines import Layout
from topfive_pipeline.judging.sessions import Opening, opened, openings, planned
from topfive_pipeline.judging.subjects import Subject, find


@pytest.fixture(scope="module")
def subject(judged_folder: Path) -> Subject:
    return find(["pets:1"], judged_folder / "repository")[0]


@pytest.mark.parametrize(
    ("threads", "instances", "cores", "sessions"),
    [
        (0, 0, 2, Layout(1, 2, 1, 1, 2)),
        (0, 0, 1, Layout(1, 1, 1, 1, 0)),
        (2, 0, 8, Layout(2, 4, 4, 1, 8)),
        (0, 3, 2, Layout(1, 3, 1, 1, 2)),
        (2, 1, 2, Layout(2, 1, 1, 1, 0)),
    ],
)
def test_they_are_planned_as_the_server_does(
    threads: int, instances: int, cores: int, sessions: Layout, subject: Subject
) -> None:
    config = replace(subject.classify.config, threads=threads, instances=instances)
    assert planned(config, cores=cores) == sessions


def test_one_for_the_resize_graph_and_all_of_the_classifier(subject: Subject) -> None:
    assert subject.resize is not None
    resize, classify = str(subject.resize.path), str(subject.classify.path)
    assert openings(subject, cores=2) == [
        Opening(resize, "onnxruntime", "fp32", 1),
        Opening(classify, "onnxruntime", "fp32", 1),
        Opening(classify, "onnxruntime", "fp32", 2),
    ]
    assert openings(replace(subject, resize=None), cores=1) == [Opening(classify, "onnxruntime", "fp32", 1)]


def test_on_openvino_slots_are_streams_of_one_session(judged_folder: Path) -> None:
    (subject,) = find(["pets:1@openvino"], judged_folder / "repository")
    _, shared, alone = openings(subject, cores=2)
    assert (shared.engine, shared.precision, shared.threads, shared.streams) == ("openvino", "fp32", 1, 2)
    assert (alone.threads, alone.streams) == (2, 1)


def test_they_are_the_servers_own(subject: Subject) -> None:
    graph = opened(subject.classify, threads=1)
    assert (graph.threads, set(graph.outputs)) == (1, {"classes", "probabilities", "indices"})
