"""The page on the whole paper, made of files ``verdict.json`` alone: the same files give the same page."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from functools import reduce
from typing import Any

from parity_lightning.display.table import format_value
from parity_lightning.experiments import EXPERIMENTS
from parity_lightning.figures import FIGURES
from parity_lightning.figures.medians import FACTOR
from parity_lightning.figures.remarks import EASY, HARD, OPEN
from parity_lightning.figures.verdicts import Score, Verdict, ratios

FOREST = "forest"
"""The name of the picture of all ratios."""


def page_of(verdicts: Sequence[Verdict], folder: str) -> str:
    """Makes the page, in Markdown.

    Args:
        verdicts: What was found, in any order.
        folder: Where, seen from the page, each figure and experiment has a folder with its files.
    """
    by_name = {verdict.name: verdict for verdict in verdicts}
    ordered = [by_name[name] for name in (*FIGURES, *EXPERIMENTS) if name in by_name]
    total = reduce(Score.plus, (verdict.score for verdict in ordered), Score(0, 0, 0, 0))
    kinds = [sum(name in by_name for name in names) for names in (FIGURES, EXPERIMENTS)]
    lines = [
        "# The paper, claim by claim",
        "",
        f"Scope: {kinds[0]} of {len(FIGURES)} figures, findings and scans, and {kinds[1]} of {len(EXPERIMENTS)} "
        "experiments on the theory, made by `parity-lightning paper` of the files `verdict.json` beside this page. "
        "The rule of a claim does not depend on what was found, and was fixed before the runs of its scale were looked "
        "at, unless the claim says otherwise. Of a number that was read off a figure, the interval of ours must lie "
        f"within a factor of {FACTOR:g} of it (holds) or outside (does not hold). Unsolved trials are "
        "censored and counted.",
        "",
        f"**{total.holds} of {total.tried} claims tried hold, {total.does_not_hold} do not, and for "
        f"{total.cannot_tell} the data cannot tell; {total.not_attempted} were not attempted.**",
        "",
        *_reproduced(ordered),
        *_remarks(by_name),
        "## Score",
        "",
        *_scoreboard(ordered, total),
        "",
        *_not_run(by_name),
        "",
        *_failures(ordered),
        "",
    ]
    if list(ratios(ordered)):
        lines += [
            "## Every number beside the paper's",
            "",
            f"![Ratios of ours to the paper's]({folder}/{FOREST}.png)",
            "",
        ]
    for verdict in ordered:
        lines += [*_section(verdict, folder), ""]
    return "\n".join(lines).rstrip() + "\n"


def _reproduced(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Which figures and experiments reproduce as a whole, and which in part."""
    kinds = {
        "Every claim holds": [each for each in verdicts if each.score.holds == each.score.tried > 0],
        "No claim fails, but for some the data cannot tell": [
            each for each in verdicts if each.score.holds < each.score.tried and not each.score.does_not_hold
        ],
        "Some claims do not hold": [each for each in verdicts if each.score.does_not_hold],
    }
    for words, found in kinds.items():
        links = (
            f"[{_title(each.name)}](#{_anchor(each.name)}) ({each.score.holds} of {each.score.tried})" for each in found
        )
        if found:
            yield f"- **{words}**: {', '.join(links)}."
    yield ""


def _remarks(known: Container[str]) -> Iterator[str]:
    """What was easy and hard, of that which was run, and what the paper leaves open."""
    easy, hard = (
        [each.text for each in remarks if all(name in known for name in each.about)] for remarks in (EASY, HARD)
    )
    for title, sentences in (("Easy", easy), ("Hard", hard), ("What the paper leaves open", OPEN)):
        if sentences:
            yield f"**{title}**"
            yield ""
            yield from (f"- {sentence}" for sentence in sentences)
            yield ""


def _scoreboard(verdicts: Sequence[Verdict], total: Score) -> Iterator[str]:
    yield "| | what | scale | holds | does not hold | cannot tell | not attempted | minutes | of a core |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for verdict in verdicts:
        counts = " | ".join(map(str, verdict.score))
        link = f"[{_title(verdict.name)}](#{_anchor(verdict.name)})"
        scale = verdict.content.get("scale") or "-"
        yield f"| {link} | {_summary(verdict.name)} | {scale} | {counts} | {_minutes([verdict])} |"
    yield f"| **all** | | | {' | '.join(f'**{count}**' for count in total)} | {_minutes(verdicts)} |"


def _minutes(verdicts: Sequence[Verdict]) -> str:
    """The minutes by the clock and of a core as two cells; those of files without the latter count by the clock."""
    clock = sum(verdict.content["seconds"] for verdict in verdicts) / 60
    core = sum(verdict.content.get("core_seconds", verdict.content["seconds"]) for verdict in verdicts) / 60
    return f"{clock:.1f} | {core:.1f}"


def _not_run(by_name: Mapping[str, Verdict]) -> Iterator[str]:
    missing = [name for name in (*FIGURES, *EXPERIMENTS) if name not in by_name]
    if missing:
        yield "**Not on this page:**"
        yield ""
    for name in missing:
        kind = "figure" if name in FIGURES else "theory"
        yield f"- `parity-lightning {kind} {name}` was not run: {_summary(name)}"


def _failures(verdicts: Sequence[Verdict]) -> Iterator[str]:
    yield "## What did not reproduce"
    yield ""
    failed = [
        (verdict, claim) for verdict in verdicts for claim in verdict.claims if claim["verdict"] == "does not hold"
    ]
    if not failed:
        yield "Of the claims that were tried, every one that can be told holds."
    for verdict, claim in failed:
        yield (
            f"- [{_title(verdict.name)}](#{_anchor(verdict.name)}), `{claim['id']}`: paper {_paper(claim)}, "
            f"ours {_ours(claim)}"
        )


def _section(verdict: Verdict, folder: str) -> Iterator[str]:
    name, content = verdict.name, verdict.content
    yield f"## {_title(name)}"
    yield ""
    summary, minutes = _summary(name), f"{content['seconds'] / 60:.1f} minutes"
    yield f"{summary[0].upper()}{summary[1:]}. `{content['command']}`, {minutes} on {content['machine']}."
    yield ""
    yield f"![{summary}]({folder}/{name}/{name}.png)"
    yield ""
    quotes = list(dict.fromkeys((claim["section"], claim["quote"]) for claim in verdict.claims if claim["quote"]))
    for number, (section, quote) in enumerate(quotes, 1):
        yield f"{number}. {section}: *{_cell(quote)}*"
    if quotes:
        yield ""
    yield "Our choice, where the paper leaves it open:"
    yield ""
    yield from (f"- {choice}" for choice in content["our_choices"])
    yield ""
    if configs := content.get("configs"):
        yield f"Configurations: {', '.join(f'`configs/{each}`' for each in configs)}."
        yield ""
    yield "| claim | says | paper | ours (interval) | n | censored | verdict |"
    yield "|---|---|---|---|---|---|---|"
    for claim in verdict.claims:
        said = (claim["section"], claim["quote"])
        source = f"({quotes.index(said) + 1})" if said in quotes else claim["section"] or "only we"
        text = claim["claim"].removeprefix(f"{claim['section']}: ")
        counts = (format_value(claim[name]) for name in ("n", "censored"))
        verdict_text = claim["verdict"] if claim["verdict"] != "does not hold" else "**does not hold**"
        cells = [text, source, _paper(claim), _ours(claim), *counts, verdict_text]
        yield f"| {' | '.join(map(_cell, cells))} |"
    if notes := content.get("notes"):
        yield ""
        yield from (f"- {note}" for note in notes)


def _paper(claim: Mapping[str, Any]) -> str:
    read_off = ", read off" if claim["paper_value"] == "digitised" else ""
    return f"{format_value(claim['paper'])}{read_off}"


def _ours(claim: Mapping[str, Any]) -> str:
    ends = "" if claim["low"] is None else f" ({format_value(claim['low'])} to {format_value(claim['high'])})"
    return f"{format_value(claim['ours'])}{ends}"


def _cell(text: str) -> str:
    """A text as a cell of a table in Markdown."""
    return text.replace("|", "\\|").replace("\n", " ").replace("*", "\\*") if "**" not in text else text


def _title(name: str) -> str:
    """The name as the paper has it.

    Example:
        >>> _title("4-left"), _title("15"), _title("finding-1"), _title("kernels")
        ('Figure 4 (left)', 'Figure 15', 'Finding 1', 'Theory: kernels')
        >>> _title("1-right-hypotheses")
        'Figure 1 (right, hypotheses)'
    """
    number, _, part = name.partition("-")
    if number.isdigit():
        return f"Figure {number} ({part.replace('-', ', ')})" if part else f"Figure {number}"
    return f"Theory: {name}" if name in EXPERIMENTS else name.capitalize().replace("-", " ")


def _anchor(name: str) -> str:
    return re.sub(r"[^\w -]", "", _title(name).lower()).replace(" ", "-")


def _summary(name: str) -> str:
    return (FIGURES.get(name) or EXPERIMENTS[name]).summary
