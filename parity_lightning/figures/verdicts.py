"""Files ``verdict.json`` read back, and the score of their claims."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from parity_lightning.errors import SettingError

VERDICTS = ("holds", "does not hold", "cannot tell", "not attempted")


@dataclass(frozen=True)
class Verdict:
    """What a figure or an experiment found.

    Attributes:
        name: The name of the figure or the experiment.
        content: The content of its ``verdict.json``.
    """

    name: str
    content: Mapping[str, Any]

    @classmethod
    def of(cls, file: Path) -> Verdict:
        """Reads a file.

        Raises:
            SettingError: If it is none.
        """
        try:
            content = json.loads(file.read_text())
            return cls(content["experiment"], content)
        except (ValueError, KeyError, TypeError) as error:
            raise SettingError(
                "verdict", file, f"is no verdict.json, or damaged ({error!r}); remove its folder"
            ) from error

    @property
    def claims(self) -> Sequence[Mapping[str, Any]]:
        """The claims as the file has them."""
        claims: Sequence[Mapping[str, Any]] = self.content["claims"]
        return claims

    @property
    def score(self) -> Score:
        """How many claims have each verdict."""
        verdicts = [claim["verdict"] for claim in self.claims]
        return Score(*(verdicts.count(verdict) for verdict in VERDICTS))


class Score(NamedTuple):
    """How many claims have each verdict.

    Example:
        >>> Score(3, 1, 0, 2).tried
        4
    """

    holds: int
    does_not_hold: int
    cannot_tell: int
    not_attempted: int

    @property
    def tried(self) -> int:
        """How many were tried."""
        return self.holds + self.does_not_hold + self.cannot_tell

    def plus(self, other: Score) -> Score:
        """Both together."""
        return Score(*(one + two for one, two in zip(self, other, strict=True)))


class Ratio(NamedTuple):
    """A number of ours over the paper's.

    Attributes:
        experiment: Of which figure.
        claim: The id of its claim.
        value: The ratio, infinite where ours was not reached.
        low: The lower end of its interval.
        high: Its upper end.
        verdict: The verdict of the claim.
    """

    experiment: str
    claim: str
    value: float
    low: float
    high: float
    verdict: str


def ratios(verdicts: Sequence[Verdict]) -> Iterator[Ratio]:
    """The ratios of all numbers that were read off a figure of the paper and that ours has an interval of.

    Example:
        >>> claim = {"id": "r10", "paper": 100.0, "paper_value": "digitised", "ours": 120.0, "low": 90.0, "high": "inf"}
        >>> list(ratios([Verdict("4-left", {"claims": [{**claim, "verdict": "holds"}]})]))
        [Ratio(experiment='4-left', claim='r10', value=1.2, low=0.9, high=inf, verdict='holds')]
    """
    for verdict in verdicts:
        for claim in verdict.claims:
            paper, ours = claim["paper"], [_number(claim[name]) for name in ("ours", "low", "high")]
            is_number = isinstance(paper, (int, float)) and not isinstance(paper, bool)
            if claim["paper_value"] == "digitised" and is_number and paper > 0 and None not in ours:
                value, low, high = (float(number or 0) / paper for number in ours)
                yield Ratio(verdict.name, claim["id"], value, low, high, claim["verdict"])


def _number(value: Any) -> float | None:
    """A number as ``verdict.json`` has it, infinite ones by their names; None of what is none."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return None if math.isnan(number) else number
