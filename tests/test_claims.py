"""The rules that turn estimates into verdicts, as truth tables."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity_lightning.studies.claims import Claim, Estimate, Statement, all_hold

STATEMENT = Statement("id", "what is measured", "Theorem 1", "the paper's words", 0.5)
HOLDS, FAILS, OPEN = True, False, None
BELOW, AT, ACROSS, ABOVE = (0.1, 0.2), (0.5, 0.5), (0.4, 0.6), (0.7, 0.8)


def judged(rule: Callable[..., Claim], ends: tuple[float, float], *bounds: float, **options: Any) -> bool | None:
    """The verdict on an estimate in the middle of an interval."""
    return rule(STATEMENT, Estimate(sum(ends) / 2, *ends), *bounds, **options).holds


@pytest.mark.parametrize(
    ("options", "below", "at", "across", "above"),
    [
        ({}, FAILS, HOLDS, OPEN, HOLDS),
        ({"strict": True}, FAILS, FAILS, OPEN, HOLDS),
        ({"support": "estimate"}, FAILS, HOLDS, HOLDS, HOLDS),
        ({"support": "not refuted"}, FAILS, HOLDS, HOLDS, HOLDS),
        ({"refutable": False}, OPEN, HOLDS, OPEN, HOLDS),
    ],
)
def test_at_least(
    options: dict[str, Any], below: bool | None, at: bool | None, across: bool | None, above: bool | None
) -> None:
    found = [judged(Claim.at_least, ends, 0.5, **options) for ends in (BELOW, AT, ACROSS, ABOVE)]
    assert found == [below, at, across, above]


@pytest.mark.parametrize(
    ("options", "below", "at", "across", "above"),
    [
        ({}, HOLDS, HOLDS, OPEN, FAILS),
        ({"strict": True}, HOLDS, FAILS, OPEN, FAILS),
        ({"support": "estimate"}, HOLDS, HOLDS, HOLDS, FAILS),
        ({"support": "not refuted"}, HOLDS, HOLDS, HOLDS, FAILS),
        ({"refutable": False}, HOLDS, HOLDS, OPEN, OPEN),
        # Refuted from another bound on: below it nothing is, above it what would hold is, too.
        ({"refuted_above": 0.75}, HOLDS, HOLDS, OPEN, OPEN),
        ({"refuted_above": 0.05}, FAILS, FAILS, FAILS, FAILS),
    ],
)
def test_at_most(
    options: dict[str, Any], below: bool | None, at: bool | None, across: bool | None, above: bool | None
) -> None:
    found = [judged(Claim.at_most, ends, 0.5, **options) for ends in (BELOW, AT, ACROSS, ABOVE)]
    assert found == [below, at, across, above]


@given(st.floats(-10, 10), st.floats(-10, 10), st.floats(-10, 10), st.booleans())
def test_at_most_mirrors_at_least(first: float, second: float, bound: float, strict: bool) -> None:
    low, high = sorted((first, second))
    least = judged(Claim.at_least, (low, high), bound, strict=strict)
    assert judged(Claim.at_most, (-high, -low), -bound, strict=strict) is least
    # What is not at least the bound is below it.
    opposite = judged(Claim.at_most, (low, high), bound, strict=not strict)
    assert opposite is (None if least is None else not least)


@pytest.mark.parametrize(
    ("ends", "verdict"),
    [(BELOW, FAILS), ((0.2, 0.45), OPEN), ((0.41, 0.59), HOLDS), (ACROSS, HOLDS), ((0.55, 0.7), OPEN), (ABOVE, FAILS)],
)
def test_within(ends: tuple[float, float], verdict: bool | None) -> None:
    assert judged(Claim.within, ends, 0.4, 0.6) is verdict


@pytest.mark.parametrize(("ends", "verdict"), [(BELOW, FAILS), (AT, HOLDS), (ACROSS, HOLDS), (ABOVE, FAILS)])
def test_contains(ends: tuple[float, float], verdict: bool) -> None:
    assert judged(Claim.contains, ends, 0.5) is verdict


def test_a_value_without_an_interval_contains_nothing_and_is_its_own_interval_elsewhere() -> None:
    assert Claim.contains(STATEMENT, Estimate(0.5), 0.5).holds is None
    assert Claim.at_least(STATEMENT, Estimate(0.5), 0.5).holds is True
    assert Claim.within(STATEMENT, Estimate(0.7), 0.4, 0.6).holds is False


@pytest.mark.parametrize(
    ("ends", "other", "verdict"),
    [(ABOVE, BELOW, HOLDS), (BELOW, ABOVE, FAILS), (ACROSS, AT, OPEN), (AT, AT, OPEN), ((0.5, 0.6), (0.4, 0.5), OPEN)],
)
def test_compared(ends: tuple[float, float], other: tuple[float, float], verdict: bool | None) -> None:
    claim = Claim.compared(STATEMENT, Estimate(0.5, *ends), Estimate(0.5, *other), "the first")
    assert claim.holds is verdict
    assert "the first" in claim.rule


@pytest.mark.parametrize(
    ("p", "conclusive", "wrong", "right"),
    [
        (0.001, True, HOLDS, FAILS),
        (0.001, False, HOLDS, FAILS),
        (0.5, True, FAILS, HOLDS),
        (0.5, False, OPEN, OPEN),
        (0.01, True, FAILS, HOLDS),
    ],
)
def test_null_hypotheses(p: float, conclusive: bool, wrong: bool | None, right: bool | None) -> None:
    for rule, verdict in ((Claim.rejected, wrong), (Claim.not_rejected, right)):
        claim = rule(STATEMENT, Estimate(p), 0.01, conclusive=conclusive, caveat="100 trials")
        assert claim.holds is verdict
        assert "100 trials" in claim.rule


@pytest.mark.parametrize(
    ("supported", "refuted", "verdict"),
    [(True, False, HOLDS), (False, True, FAILS), (False, False, OPEN), (True, True, FAILS)],
)
def test_rules_of_their_own(supported: bool, refuted: bool, verdict: bool | None) -> None:
    assert Claim.decided(STATEMENT, Estimate(1.0), "rule", supported=supported, refuted=refuted).holds is verdict


@pytest.mark.parametrize("value", [math.nan, "no run"])
def test_what_is_no_number_decides_nothing(value: float | str) -> None:
    found = Estimate(value)
    claims = [
        Claim.at_least(STATEMENT, found, 0.5),
        Claim.at_least(STATEMENT, found, 0.5, strict=True, support="estimate"),
        Claim.at_most(STATEMENT, found, 0.5),
        Claim.at_most(STATEMENT, found, 0.5, support="not refuted"),
        Claim.within(STATEMENT, found, 0.4, 0.6),
        Claim.contains(STATEMENT, found, 0.5),
        Claim.compared(STATEMENT, found, Estimate(0.5), "the first"),
        Claim.rejected(STATEMENT, found, 0.01, conclusive=True, caveat="100 trials"),
        Claim.not_rejected(STATEMENT, found, 0.01, conclusive=True, caveat="100 trials"),
        Claim.reported(STATEMENT, found),
    ]
    assert {claim.verdict for claim in claims} == {"cannot tell"}
    assert all_hold(claims) is None


def test_equal() -> None:
    statement = Statement("gap", "sizes without a gap", paper="(9, 4)")
    assert [Claim.equal(statement, Estimate(value)).holds for value in ("(9, 4)", "none")] == [True, False]


def test_one_claim_that_fails_decides_for_all() -> None:
    holds, fails = (Claim.at_least(STATEMENT, Estimate(value), 0.5) for value in (1.0, 0.0))
    reported = Claim.reported(STATEMENT, Estimate(0.0))
    assert all_hold([holds, reported]) is True
    assert all_hold([holds, fails, reported]) is False
    assert all_hold([]) is None


@given(st.floats(0, 1), st.floats(0, 1), st.sampled_from(["interval", "estimate", "not refuted"]), st.booleans())
def test_the_rule_in_words_does_not_depend_on_what_was_found(
    first: float, second: float, support: Any, refutable: bool
) -> None:
    options = {"support": support, "caveat": "trials that were cut short refute nothing"}
    found, other = Estimate(first, first, 1.0), Estimate(second, 0.0, second)
    for rule in (Claim.at_least, Claim.at_most):
        words = {rule(STATEMENT, each, 0.5, refutable=refutable, **options).rule for each in (found, other)}
        assert len(words) == 1
        assert "holds if" in words.pop()


def test_a_claim_as_json_has_what_the_contract_names() -> None:
    claim = Claim.at_least(STATEMENT, Estimate(0.7, 0.6, 0.8, n=10, censored=3), 0.5, tolerance=0.1)
    read = claim.as_dict()
    assert read == {
        "id": "id",
        "claim": "Theorem 1: what is measured",
        "section": "Theorem 1",
        "quote": "the paper's words",
        "rule": "holds if the whole interval is at least 0.5; does not hold if the whole interval is below 0.5",
        "paper": 0.5,
        "paper_value": "stated",
        "ours": 0.7,
        "low": 0.6,
        "high": 0.8,
        "n": 10,
        "censored": 3,
        "tolerance": 0.1,
        "verdict": "holds",
        "holds": True,
    }
    own = Claim.reported(Statement("own", "ours"), Estimate("two")).as_dict()
    assert (own["section"], own["paper_value"], own["verdict"], own["holds"]) == (None, None, "cannot tell", None)
    assert str(claim) == "holds: Theorem 1: what is measured\n    paper: 0.5; here: 0.7 (0.6 to 0.8)"
    assert str(Claim.at_least(STATEMENT, Estimate(0.1), 0.5)).startswith("DOES NOT HOLD: Theorem 1")
