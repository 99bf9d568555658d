"""The order of a gate: its parts one after the other, what each found, and those that could not run.

What does not live here: the parts (the modules beside this one), and which of them are asked for (`gating.parts`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.gating.findings import Chapter, Finding
from topfive_pipeline.gating.sentence import Verdict, sentence, verdict
from topfive_pipeline.judging.machine import Machine

_MINUTE: Final = 60.0

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a gate. `seconds`: about how long it takes. `run`: raises `ConfigurationError` if it cannot."""

    key: str
    title: str
    seconds: float
    run: Callable[[Progress], Sequence[Chapter]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gated:
    """What a gate found. `candidate`, `live`: how they are called. `left_out`: parts that were not asked for, with how.

    `seconds`: how long it took.
    """

    candidate: str
    live: str
    chapters: tuple[Chapter, ...]
    left_out: tuple[str, ...]
    machine: Machine
    seconds: float

    @property
    def findings(self) -> list[Finding]:
        """Of all chapters, in their order."""
        return [finding for chapter in self.chapters for finding in chapter.findings]

    @property
    def verdict(self) -> Verdict:
        return verdict(self.findings)

    @property
    def sentence(self) -> str:
        """The one on top. A yes says what it is not about, for it is read alone."""
        said = sentence(self.findings)
        if self.verdict != "yes" or not self.left_out:
            return said
        parts = ", ".join(part.partition(" (")[0] for part in self.left_out)
        return f"{said.removesuffix('.')}; not looked at: {parts}."

    def as_json(self) -> dict[str, Any]:
        """All that was found, for programs; tables and plots are for people."""
        return {
            "verdict": self.verdict,
            "sentence": self.sentence,
            "candidate": self.candidate,
            "live": self.live,
            "left_out": list(self.left_out),
            "chapters": [
                {
                    "key": chapter.key,
                    "title": chapter.title,
                    "findings": [asdict(finding) for finding in chapter.findings],
                    "notes": list(chapter.notes),
                    "figures": dict(chapter.figures),
                }
                for chapter in self.chapters
            ],
            "machine": asdict(self.machine),
            "seconds": self.seconds,
        }


def run(parts: Sequence[Part], progress: Progress) -> Iterator[Chapter]:
    """What each of `parts` finds, in their order; one that cannot run is a finding that is unknown, with why."""
    for place, part in enumerate(parts):
        left = sum(each.seconds for each in parts[place:])
        head = f"{place + 1} of {len(parts)}, {part.title.lower()} (about {_duration(left)} to go)"
        progress(head)
        try:
            yield from part.run(lambda step, head=head: progress(f"{head}: {step}"))  # type: ignore[misc]
        except (ConfigurationError, OSError) as error:
            said = " ".join(str(error).split())
            missing = Finding(name=part.title.lower(), seen="could not run", wanted="a result", met=None, note=said)
            yield Chapter(key=part.key, title=part.title, findings=(missing,))


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 2 * _MINUTE else f"{seconds / _MINUTE:.0f} min"
