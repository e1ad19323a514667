"""Claims: what the paper says, the rule that decides it, and what was found.

A claim is made by one of the constructors of `Claim`. Each of them is a rule that turns an estimate, its interval and
a bound into one of the verdicts "holds", "does not hold" and "cannot tell". The rule does not depend on what was found,
so it can be read before anything is run; `Claim.rule` has it in words.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from parity_lightning.display.table import format_value

Verdict = Literal["holds", "does not hold", "cannot tell", "not attempted"]
Support = Literal["interval", "estimate", "not refuted"]


class Estimate(NamedTuple):
    """A value that was found, with its interval.

    Attributes:
        value: The value, or what was found in words where there is no number.
        low: The lower end of the interval; None where nothing is random.
        high: Its upper end.
        n: From how many observations.
        censored: How many of them ended before what they were observed for, such as trials that were not solved.
    """

    value: float | str
    low: float | None = None
    high: float | None = None
    n: int | None = None
    censored: int | None = None

    @property
    def ends(self) -> tuple[float, float]:
        """The ends of the interval: the value twice if nothing is random, NaN twice if there is no number."""
        if isinstance(self.value, str):
            return math.nan, math.nan
        return (self.value if self.low is None else self.low), (self.value if self.high is None else self.high)


@dataclass(frozen=True)
class Statement:
    """What is claimed.

    Attributes:
        id: A short name, unique among the claims of an experiment.
        text: What is measured, in a line.
        section: Where the paper says it, such as ``"Theorem 7"``; empty for what only this project claims.
        quote: The paper's own words; empty where they are not at hand, as for appendices of the extended version.
        paper: The paper's value, or what it says in words.
        digitised: Whether the paper's value was read off a figure; otherwise it is stated.
    """

    id: str
    text: str
    section: str = ""
    quote: str = ""
    paper: float | str = "no claim"
    digitised: bool = False

    def __str__(self) -> str:
        return f"{self.section}: {self.text}" if self.section else self.text


@dataclass(frozen=True)
class Claim:
    """A statement, the rule by which it is decided, what was found, and the verdict.

    In every rule "the interval" is that of the estimate, or the estimate itself where nothing is random. Where there
    is no number, or it is not a number (NaN), the verdict is "cannot tell".

    Attributes:
        statement: What is claimed.
        rule: When it holds and when it does not, in words.
        found: What was found.
        verdict: What the rule makes of it.
        tolerance: By how much a bound was relaxed, if it was.
    """

    statement: Statement
    rule: str
    found: Estimate
    verdict: Verdict
    tolerance: float | None = None

    @property
    def holds(self) -> bool | None:
        """Whether the claim holds; None if that cannot be told."""
        return {"holds": True, "does not hold": False}.get(self.verdict)

    def __str__(self) -> str:
        value, low, high, *_ = self.found
        interval = "" if low is None or high is None else f" ({format_value(low)} to {format_value(high)})"
        # A claim that fails should not be missed among many that hold.
        verdict = self.verdict.upper() if self.verdict == "does not hold" else self.verdict
        paper = format_value(self.statement.paper)
        return f"{verdict}: {self.statement}\n    paper: {paper}; here: {format_value(value)}{interval}"

    def as_dict(self) -> dict[str, Any]:
        """The claim as ``verdict.json`` has it."""
        statement, found = self.statement, self.found
        return {
            "id": statement.id,
            "claim": str(statement),
            "section": statement.section or None,
            "quote": statement.quote or None,
            "rule": self.rule,
            "paper": statement.paper,
            "paper_value": ("digitised" if statement.digitised else "stated") if statement.section else None,
            "ours": found.value,
            "low": found.low,
            "high": found.high,
            "n": found.n,
            "censored": found.censored,
            "tolerance": self.tolerance,
            "verdict": self.verdict,
            "holds": self.holds,
        }

    @classmethod
    def at_least(
        cls,
        statement: Statement,
        found: Estimate,
        least: float,
        *,
        strict: bool = False,
        support: Support = "interval",
        refutable: bool = True,
        caveat: str = "",
        tolerance: float | None = None,
    ) -> Claim:
        """The claim that a number is at least a bound.

        It holds if the whole interval is at least the bound, does not hold if the whole interval is below it, and
        cannot be told if the bound lies between the ends.

        Args:
            statement: What is claimed.
            found: The number.
            least: The bound.
            strict: The number must be above the bound; it does not hold if the whole interval is at most the bound.
            support: What must be at least the bound for the claim to hold: the whole ``"interval"``; only the
                ``"estimate"``, where the bound itself can be attained; or any part of the interval, where the claim
                counts as long as it is ``"not refuted"``.
            refutable: Whether this run can refute the claim; if not, "does not hold" becomes "cannot tell".
            caveat: What decides whether it can, for the rule: ``"trials that were cut short refute nothing"``.
            tolerance: By how much ``least`` was relaxed already.

        Example:
            >>> statement = Statement("rate", "share of trials solved", paper="at least 0.5")
            >>> [Claim.at_least(statement, Estimate(0.6, *ends), 0.5).verdict for ends in [(0.5, 0.7), (0.4, 0.7)]]
            ['holds', 'cannot tell']
            >>> Claim.at_least(statement, Estimate(0.3), 0.5).verdict
            'does not hold'
        """
        low, high = found.ends
        number = {"interval": low, "estimate": found.value, "not refuted": high}[support]
        supported = isinstance(number, float | int) and (number > least if strict else number >= least)
        refuted = refutable and (high <= least if strict else high < least)
        # A claim that holds as long as it is not refuted holds where it cannot be told.
        bound, beyond = ("above", "at most") if strict else ("at least", "below")
        rule = _rule(
            f"{_SUPPORTING[support]} is {bound} {least:.4g}", f"the whole interval is {beyond} {least:.4g}", caveat
        )
        return cls(statement, rule, found, _verdict(supported, refuted), tolerance)

    @classmethod
    def at_most(
        cls,
        statement: Statement,
        found: Estimate,
        most: float,
        *,
        strict: bool = False,
        support: Support = "interval",
        refuted_above: float | None = None,
        refutable: bool = True,
        caveat: str = "",
        tolerance: float | None = None,
    ) -> Claim:
        """The claim that a number is at most a bound.

        It holds if the whole interval is at most the bound, does not hold if the whole interval is above it, and cannot
        be told if the bound lies between the ends.

        Args:
            statement: What is claimed.
            found: The number.
            most: The bound.
            strict: The number must be below the bound; it does not hold if the whole interval is at least the bound.
            support: What must be at most the bound for the claim to hold, as of `at_least`.
            refuted_above: The bound that the whole interval must be above for the claim not to hold, if it is another.
                Of an interval that is above this one and not above ``most`` the claim does not hold.
            refutable: Whether this run can refute the claim; if not, "does not hold" becomes "cannot tell".
            caveat: What decides whether it can, for the rule.
            tolerance: By how much ``most`` was relaxed already.

        Example:
            >>> statement = Statement("loss", "the expected loss", paper="at most 0.1")
            >>> [Claim.at_most(statement, Estimate(0.09, *ends), 0.1).verdict for ends in [(0, 0.1), (0, 0.2)]]
            ['holds', 'cannot tell']
            >>> Claim.at_most(statement, Estimate(0.09, 0.0, 0.2), 0.1, support="estimate").verdict
            'holds'
        """
        low, high = found.ends
        number = {"interval": high, "estimate": found.value, "not refuted": low}[support]
        supported = isinstance(number, float | int) and (number < most if strict else number <= most)
        limit = most if refuted_above is None else refuted_above
        refuted = refutable and (low >= limit if strict else low > limit)
        bound, beyond = ("below", "at least") if strict else ("at most", "above")
        rule = _rule(
            f"{_SUPPORTING[support]} is {bound} {most:.4g}", f"the whole interval is {beyond} {limit:.4g}", caveat
        )
        return cls(statement, rule, found, _verdict(supported and not refuted, refuted), tolerance)

    @classmethod
    def within(cls, statement: Statement, found: Estimate, low: float, high: float) -> Claim:
        """The claim that a number lies in a range.

        It holds if the whole interval lies in the range, does not hold if no part of it does, and cannot be told if
        it lies across an end of the range.

        Args:
            statement: What is claimed.
            found: The number.
            low: The lower end of the range, which belongs to it.
            high: Its upper end, which belongs to it.

        Example:
            >>> statement = Statement("ratio", "median over prediction", paper=1.0)
            >>> [Claim.within(statement, Estimate(ratio), 0.8, 1.25).verdict for ratio in (1.1, 1.3)]
            ['holds', 'does not hold']
        """
        first, last = found.ends
        rule = _rule(f"the interval lies in [{low:.4g}, {high:.4g}]", "it lies outside")
        return cls(statement, rule, found, _verdict(low <= first and last <= high, last < low or first > high))

    @classmethod
    def contains(cls, statement: Statement, found: Estimate, value: float) -> Claim:
        """The claim that a number has a value.

        It holds if the interval contains the value and does not hold otherwise: nothing is random about the value, and
        an interval that is too narrow errs as often as its level says.

        Args:
            statement: What is claimed.
            found: The number, with an interval; without one the claim cannot be told.
            value: The value.

        Example:
            >>> statement = Statement("lucky", "share of lucky neurons", paper=0.25)
            >>> [Claim.contains(statement, Estimate(0.24, *ends), 0.25).verdict for ends in [(0.2, 0.3), (0.2, 0.24)]]
            ['holds', 'does not hold']
        """
        rule = _rule(f"the interval contains {value:.4g}", "it does not contain it")
        low, high = found.ends
        known = found.low is not None and found.high is not None
        return cls(
            statement, rule, found, _verdict(known and low <= value <= high, known and (value < low or value > high))
        )

    @classmethod
    def compared(cls, statement: Statement, found: Estimate, other: Estimate, other_name: str) -> Claim:
        """The claim that a number is larger than another one.

        It holds if its interval lies above the other's, does not hold if it lies below the other's, and cannot be told
        if they overlap.

        Args:
            statement: What is claimed.
            found: The number.
            other: The other number.
            other_name: What the other number is, for the rule.

        Example:
            >>> statement = Statement("grows", "the ratio grows", paper="to 1")
            >>> Claim.compared(statement, Estimate(0.9, 0.8, 0.95), Estimate(0.5, 0.4, 0.7), "the shortest").verdict
            'holds'
        """
        low, high = found.ends
        other_low, other_high = other.ends
        rule = _rule(f"the interval lies above that of {other_name}", f"it lies below that of {other_name}")
        return cls(statement, rule, found, _verdict(low > other_high, high < other_low))

    @classmethod
    def equal(cls, statement: Statement, found: Estimate) -> Claim:
        """The claim that something is exactly what the paper says; it holds if it is, and does not hold otherwise.

        Example:
            >>> Claim.equal(Statement("sizes", "the sizes without a gap", paper="(9, 4)"), Estimate("(9, 4)")).verdict
            'holds'
        """
        same = found.value == statement.paper
        return cls(statement, _rule("both are the same", "they differ"), found, _verdict(same, not same))

    @classmethod
    def rejected(cls, statement: Statement, p: Estimate, level: float, *, conclusive: bool, caveat: str) -> Claim:
        """The claim that a null hypothesis is wrong.

        It holds if p is below the level. It does not hold if p is not and the data are conclusive: the null hypothesis
        would have been rejected if it were wrong. Otherwise it cannot be told.

        Args:
            statement: What is claimed.
            p: The p value of the null hypothesis.
            level: The level of the test.
            conclusive: Whether the data are.
            caveat: When they are, for the rule.

        Example:
            >>> statement = Statement("late", "the times are not geometric", paper="not geometric")
            >>> caveat = "at least 100 trials"
            >>> Claim.rejected(statement, Estimate(0.001), 0.01, conclusive=False, caveat=caveat).verdict
            'holds'
        """
        value = p.ends[0]
        rule = _rule(f"p is below {level:.4g}", f"p is at least {level:.4g}, with {caveat}")
        return cls(statement, rule, p, _verdict(value < level, conclusive and value >= level))

    @classmethod
    def not_rejected(cls, statement: Statement, p: Estimate, level: float, *, conclusive: bool, caveat: str) -> Claim:
        """The claim that a null hypothesis is right.

        It does not hold if p is below the level. It holds if p is not and the data are conclusive: the null hypothesis
        would have been rejected if it were wrong by much. Otherwise it cannot be told.

        Args:
            statement: What is claimed.
            p: The p value of the null hypothesis.
            level: The level of the test.
            conclusive: Whether the data are.
            caveat: When they are, for the rule.
        """
        value = p.ends[0]
        rule = _rule(f"p is at least {level:.4g}, with {caveat}", f"p is below {level:.4g}")
        return cls(statement, rule, p, _verdict(conclusive and value >= level, value < level))

    @classmethod
    def decided(cls, statement: Statement, found: Estimate, rule: str, *, supported: bool, refuted: bool) -> Claim:
        """A claim with a rule of its own.

        It does not hold if it is refuted, holds if it is supported and not refuted, and cannot be told otherwise.

        Args:
            statement: What is claimed.
            found: What was found.
            rule: When it is supported and when it is refuted, in words.
            supported: Whether it is supported.
            refuted: Whether it is refuted.
        """
        return cls(statement, rule, found, _verdict(supported and not refuted, refuted))

    @classmethod
    def reported(cls, statement: Statement, found: Estimate) -> Claim:
        """A number for comparison, which decides nothing: its verdict is always "cannot tell"."""
        return cls(statement, "none: reported for comparison", found, "cannot tell")

    @classmethod
    def not_attempted(cls, statement: Statement, why: str) -> Claim:
        """A claim that nothing was run for.

        Args:
            statement: What is claimed.
            why: Why not, or what it needs.

        Example:
            >>> Claim.not_attempted(Statement("wide", "width 10^6"), "runs at a larger scale").verdict
            'not attempted'
        """
        return cls(statement, f"not attempted: {why}", Estimate("not attempted", n=0), "not attempted")


_SUPPORTING = {
    "interval": "the whole interval",
    "estimate": "the estimate",
    "not refuted": "some of the interval",
}


def _rule(holds: str, fails: str, caveat: str = "") -> str:
    return f"holds if {holds}; does not hold if {fails}" + (f"; {caveat}" if caveat else "")


def _verdict(supported: bool, refuted: bool) -> Verdict:
    return "holds" if supported else "does not hold" if refuted else "cannot tell"


def all_hold(claims: list[Claim]) -> bool | None:
    """Whether claims hold together: False if one does not hold, None if none can be told.

    Example:
        >>> all_hold([Claim.reported(Statement("seconds", "time taken"), Estimate(1.0))]) is None
        True
    """
    verdicts = {claim.holds for claim in claims}
    return False if False in verdicts else True if True in verdicts else None
