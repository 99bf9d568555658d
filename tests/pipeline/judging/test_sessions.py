"""The sessions that are judged are those that the server opens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from topfive_pipeline.judging.sessions import Sessions, opened, planned, threads_of_graphs
from topfive_pipeline.judging.subjects import Subject, find


@pytest.fixture(scope="module")
def subject(judged_folder: Path) -> Subject:
    return find(["pets:1"], judged_folder / "repository")[0]


@pytest.mark.parametrize(
    ("threads", "instances", "cores", "sessions"),
    [
        (0, 0, 2, Sessions(1, 2, 1, 2)),
        (0, 0, 1, Sessions(1, 1, 1, 0)),
        (2, 0, 8, Sessions(2, 4, 4, 8)),
        (0, 3, 2, Sessions(1, 3, 1, 2)),
        (2, 1, 2, Sessions(2, 1, 1, 0)),
    ],
)
def test_they_are_planned_as_the_server_does(
    threads: int, instances: int, cores: int, sessions: Sessions, subject: Subject
) -> None:
    config = replace(subject.classify.config, threads=threads, instances=instances)
    assert planned(config, cores=cores) == sessions


def test_one_for_the_resize_graph_and_all_of_the_classifier(subject: Subject) -> None:
    assert threads_of_graphs(subject, cores=2) == [(subject.resize, 1), (subject.classify, 1), (subject.classify, 2)]
    assert threads_of_graphs(replace(subject, resize=None), cores=1) == [(subject.classify, 1)]


def test_they_are_the_servers_own(subject: Subject) -> None:
    graph = opened(subject.classify, threads=1)
    assert (graph.threads, set(graph.outputs)) == (1, {"classes", "probabilities", "indices"})
