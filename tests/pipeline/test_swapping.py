"""A version that is imported into a repository in use is taken up by a server that polls, without a wrong answer."""

from __future__ import annotations

import threading
from pathlib import Path

from tests.pipeline.conftest import no_servers
from tests.pipeline.graphs import networks
from tests.pipeline.importing import LABELS, imported, said, wanted
from tests.testkit.serving_process import ServingProcess, serving
from topfive_pipeline.proof.photos import Photo

PICTURE = networks.pictures(1, 40, 60)[0]
Answer = tuple[str, tuple[tuple[str, float], ...]]


def asked(service: ServingProcess) -> Answer:
    answer = service.classify(PICTURE.tobytes(), model="pets", height=40, width=60)
    assert answer.status == 200, answer
    return answer.json["version"], tuple((each["label"], each["probability"]) for each in answer.json["predictions"])


def test_a_further_version_is_served_under_poll_and_no_request_fails(tmp_path: Path, small_photos: list[Photo]) -> None:
    """Weights, labels and resize graph change together: no answer is of a half."""
    repository = tmp_path / "repository"
    with no_servers():
        imported(wanted(tmp_path), repository, small_photos)
        flags = ("--model-control", "poll", "--poll-seconds", "0.1", "--no-grpc")
        with serving("--model-repository", str(repository), *flags) as service:
            answers: set[Answer] = {asked(service)}
            stop, renewed = threading.Event(), threading.Event()

            def ask_on() -> None:
                while not stop.is_set():
                    answers.add(answer := asked(service))
                    if answer[0] == "2":
                        renewed.set()

            asking = threading.Thread(target=ask_on)
            asking.start()
            try:
                other = wanted(tmp_path, said=said(resize="letterbox:255"), labels=[name.upper() for name in LABELS])
                done = imported(other, repository, small_photos)
                assert [folder.parent.name for folder in done.folders] == ["pets_resize", "pets_classify"]
                assert renewed.wait(60)
            finally:
                stop.set()
                asking.join()
            final = asked(service)
    assert len(answers) == 2
    assert final in answers
    assert {label for label, _ in final[1]} == {"ANT", "BEE", "CAT"}
