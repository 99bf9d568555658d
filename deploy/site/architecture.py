"""What the diagrams of docs/architecture.md show, and that of docs/stores.md."""

from __future__ import annotations

from deploy.site.diagrams import Arrow, Box, drawn


def life_of_a_request() -> str:
    """From its head to its answer, and where it may be refused."""
    boxes = {
        "head": Box(0, 0, "head"),
        "checks": Box(1, 0, "checks\nof the head", under="400 404 413 415 429 503"),
        "entry": Box(2, 0, "entry", under="429"),
        "body": Box(3, 0, "read the body"),
        "prepare": Box(3, 1, "decode, resize graph\n(threads)", under="413 422 504"),
        "queue": Box(2, 1, "queue", under="504"),
        "batch": Box(1, 1, "classify graph\nin a batch", under="500"),
        "answer": Box(0, 1, "answer"),
    }
    arrows = [
        Arrow("head", "checks"),
        Arrow("checks", "entry"),
        Arrow("entry", "body"),
        Arrow("body", "prepare"),
        Arrow("prepare", "queue"),
        Arrow("queue", "batch"),
        Arrow("batch", "answer"),
    ]
    return drawn("The life of a request", boxes, arrows)


def states_of_an_item() -> str:
    """From the queue to its end."""
    boxes = {
        "queued": Box(0, 0, "QUEUED"),
        "dispatched": Box(1, 0, "DISPATCHED"),
        "done": Box(2, 0, "DONE"),
        "gone": Box(0, 1, "CANCELLED\nor EXPIRED", end=True),
        "retrying": Box(1, 1, "RETRYING"),
        "failed": Box(2, 1, "FAILED\nor EXPIRED", end=True),
    }
    arrows = [
        Arrow("queued", "dispatched", "taken into\na batch"),
        Arrow("dispatched", "done", "its batch\nis done"),
        Arrow("queued", "gone", "its client has left,\nor its deadline passed", otherwise=True),
        Arrow("dispatched", "retrying", "its batch\nfailed", otherwise=True, aside=-22),
        Arrow("retrying", "dispatched", "by itself", aside=-22),
        Arrow("retrying", "gone", "the same", otherwise=True),
        Arrow("dispatched", "failed", "it failed by itself,\nor its deadline passed", otherwise=True),
    ]
    return drawn("The states of an item", boxes, arrows)


def states_of_the_service() -> str:
    """From its start to its end."""
    boxes = {
        "starting": Box(0, 0, "STARTING"),
        "ready": Box(1, 0, "READY"),
        "draining": Box(2, 0, "DRAINING"),
        "stopped": Box(3, 0, "STOPPED"),
        "failed": Box(0, 1, "FAILED", end=True),
        "unreachable": Box(1, 1, "UNREACHABLE", end=True),
    }
    arrows = [
        Arrow("starting", "ready", "warm"),
        Arrow("ready", "draining", "SIGTERM"),
        Arrow("draining", "stopped", "all answered"),
        Arrow("starting", "failed", otherwise=True),
        Arrow("ready", "failed", otherwise=True),
        Arrow("ready", "unreachable", "Triton\nis away", otherwise=True, aside=-22),
        Arrow("unreachable", "ready", "it is back", aside=-22),
    ]
    return drawn("The states of the service", boxes, arrows)


def changing_models() -> str:
    """From a look at the repository to the end of the old version."""
    boxes = {
        "read": Box(0, 0, "read\nthe repository"),
        "judge": Box(1, 0, "can all of it be\nserved together?"),
        "load": Box(2, 0, "load and warm up\nwhat is new"),
        "swap": Box(3, 0, "swap:\none assignment"),
        "stay": Box(1.5, 1, "what was served\nis served on", end=True),
        "retire": Box(3, 1, "the old version\nends its requests"),
    }
    arrows = [
        Arrow("read", "judge"),
        Arrow("judge", "load", "yes"),
        Arrow("load", "swap"),
        Arrow("swap", "retire"),
        Arrow("judge", "stay", "no", otherwise=True),
        Arrow("load", "stay", "fails", otherwise=True),
    ]
    return drawn("How models change", boxes, arrows)


def models_from_a_store() -> str:
    """From a look at the store to the folder that is served."""
    boxes = {
        "list": Box(0, 0, "list the store"),
        "fetch": Box(1, 0, "fetch aside\nwhat is new"),
        "check": Box(2, 0, "check digests,\nthen SHA256SUMS"),
        "show": Box(3, 0, "show each model\nby one rename"),
        "stay": Box(1, 1, "the mirror\nstays as it was", end=True),
        "serve": Box(3, 1, "the folder is read\nas any repository"),
    }
    arrows = [
        Arrow("list", "fetch", "changed, and\nstands still"),
        Arrow("fetch", "check"),
        Arrow("check", "show", "all right"),
        Arrow("show", "serve"),
        Arrow("list", "stay", "away", otherwise=True),
        Arrow("fetch", "stay", "away", otherwise=True),
        Arrow("check", "stay", "no", otherwise=True),
    ]
    return drawn("How models come from a store", boxes, arrows)
