"""What several people said, counted: who won each photo, how far judges agree, and whether a side was preferred.

What lives here: counting. What does not: the file of judgements (`gating.judgements`), and what wins mean
(`gating.contest`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from topfive_pipeline.gating.judgements import Judgement, Verdict
from topfive_pipeline.gating.sign_test import SignTest, sign_test

SIGNS: Final[Mapping[Verdict, int]] = {"candidate": 1, "live": -1, "equal": 0, "neither": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """`signs`: by the key of each judged question 1 if the candidate won, -1 if it lost, 0 if neither.

    `judges`: how many photos each has judged. `verdicts`: how often each was said. `kappa`: the agreement of two judges
    on photos that both judged, beyond chance (1 is full), averaged over pairs; None if no two have a photo in common.
    `sides`: the left answer's wins over the right one's, of all judgements: judges who cannot see whose answer is where
    should prefer neither.
    """

    signs: Mapping[str, int]
    judges: Mapping[str, int]
    verdicts: Mapping[Verdict, int]
    kappa: float | None
    sides: SignTest

    def as_figures(self) -> dict[str, object]:
        """All of it but the questions, for JSON."""
        return {
            "photos": len(self.signs),
            "judges": dict(self.judges),
            "verdicts": dict(self.verdicts),
            "kappa": self.kappa,
            "left_better": self.sides.won,
            "right_better": self.sides.lost,
            "sides_p_two_sided": self.sides.two_sided,
        }


def tally(judgements: Iterable[Judgement], keys: Iterable[str]) -> Tally:
    """Count what stands of the questions with these `keys`; judgements of others are of other answers, and left out.

    A photo that several judged counts once, for whoever has more of them.
    """
    asked = set(keys)
    counted = [each for each in judgements if each.question in asked]
    sums: Counter[str] = Counter()
    by_judge: dict[str, dict[str, int]] = {}
    for each in counted:
        sign = SIGNS[each.verdict]
        sums[each.question] += sign
        by_judge.setdefault(each.judge, {})[each.question] = sign
    decided = [each for each in counted if SIGNS[each.verdict]]
    left = sum(each.verdict == each.left for each in decided)
    return Tally(
        signs={key: (total > 0) - (total < 0) for key, total in sums.items()},
        judges={judge: len(said) for judge, said in by_judge.items()},
        verdicts=Counter(each.verdict for each in counted),
        kappa=_mean_kappa(list(by_judge.values())),
        sides=sign_test(left, len(decided) - left),
    )


def cohens_kappa(pairs: Sequence[tuple[int, int]]) -> float | None:
    """The agreement of two judges beyond chance, of what both said of each thing; None if chance alone makes it full.

    Cohen, A coefficient of agreement for nominal scales, Educ. Psychol. Meas. 20 (1960) 37-46.
    """
    if not pairs:
        return None
    of = len(pairs)
    agreed = sum(one == other for one, other in pairs) / of
    firsts, seconds = (Counter(pair[side] for pair in pairs) for side in (0, 1))
    chance = sum(firsts[value] * seconds[value] for value in firsts) / of**2
    return None if chance == 1 else (agreed - chance) / (1 - chance)


def _mean_kappa(judges: Sequence[Mapping[str, int]]) -> float | None:
    found = [
        kappa
        for one, other in combinations(judges, 2)
        if (kappa := cohens_kappa([(one[key], other[key]) for key in one.keys() & other.keys()])) is not None
    ]
    return sum(found) / len(found) if found else None
