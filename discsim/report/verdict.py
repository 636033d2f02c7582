"""Verdicts of a sweep in words and tables."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from discsim.report.engines import engine_sentence
from discsim.report.tables import signed, time_words
from discsim.study.check import Confirmation
from discsim.study.evidence import PROTOCOL, PartialAssumption
from discsim.study.flips import FEWEST, Flip
from discsim.study.held import by_arms
from discsim.study.messages import counted
from discsim.study.shares import Share
from discsim.study.verdict import RESOLUTION, Comparison, Failed, PairVerdict, ReadoutVerdict

MOST_ORDERS = 6
MOST_NUMBERS = 8
MOST_INPUTS = 3
RESOLUTION_SENTENCE = (
    f"values are called equal where they differ by less than {RESOLUTION:g} of themselves, the numerical resolution of a sweep; "
    "the discretisation error of mesh and steps is larger, and is in no share and no interval here (discsim run states it)"
)
DOMAINS = {
    "cells": "cells",
    "structure": "structure, which is not pain",
    "nutrition": "nutrition",
    "pain": "pain, which is not structure",
}


def print_comparison(
    comparison: Comparison,
    console: Console,
    confirmation: Confirmation | None = None,
    held: tuple[PartialAssumption, ...] = (),
) -> None:
    """Every verdict as a table and in sentences, failures, what the reference engine confirmed, what is assumed.

    ``held``: assumed numbers that act on some arms only and were not varied.
    """
    console.print(Text(comparison.title, style="bold"))
    console.print(Text(design_sentence(comparison)), soft_wrap=True)
    console.print(Text(RESOLUTION_SENTENCE), soft_wrap=True)
    if comparison.engines:
        console.print(Text(engine_sentence(comparison.engines)), soft_wrap=True)
    for failed in comparison.failed:
        console.print(Text(failed_sentence(failed), style="red"), soft_wrap=True)
    for verdict in comparison.verdicts:
        console.print()
        console.print(Text(heading(verdict), style="bold"), soft_wrap=True)
        console.print(pair_table(verdict))
        for sentence in sentences(verdict, comparison, confirmation):
            console.print(Text(sentence), soft_wrap=True)
        deciding = flip_table(verdict)
        if deciding is not None:
            console.print(deciding)
    if held:
        console.print()
        for sentence in held_sentences(held):
            console.print(Text(sentence), soft_wrap=True)
    if confirmation is None:
        console.print()
        console.print(Text("the reference engine has not checked this sweep"), soft_wrap=True)


def held_sentences(held: tuple[PartialAssumption, ...]) -> list[str]:
    """What the verdicts rest on beside what was varied: a line per set of arms."""
    lines = ["assumed, not measured, and held fixed, though acting on some arms only; to see whether one decides, vary it:"]
    for arms, owners in by_arms(held).items():
        parts = [f"{owner}: {', '.join(keys)}" for owner, keys in owners.items()]
        lines.append(f"  only on {' and '.join(arms)}: {'; '.join(parts)}")
    return lines


def design_sentence(comparison: Comparison) -> str:
    """What was varied, and of how many samples the verdicts speak."""
    seed = "" if comparison.seed is None else f", seed {comparison.seed}"
    line = (
        f"{comparison.samples} samples ({comparison.design_kind}{seed}) of {counted(len(comparison.inputs), 'varied number')}; "
        f"{comparison.clear} are good in all of {', '.join(comparison.scenarios)}"
    )
    if not comparison.drawn:
        line += "; they were chosen, not drawn, so shares are of these samples alone and have no interval"
    return line


def failed_sentence(failed: Failed) -> str:
    """Which samples of an arm have no numbers; they are left out, never filled in."""
    numbers = ", ".join(map(str, failed.samples[:MOST_NUMBERS]))
    more = f" and {len(failed.samples) - MOST_NUMBERS} more" if len(failed.samples) > MOST_NUMBERS else ""
    count = counted(len(failed.samples), "sample")
    return f"left out: {failed.scenario} {failed.status} in {count} ({numbers}{more}): {failed.reason}"


def heading(verdict: ReadoutVerdict) -> str:
    """Readout, unit, time, and which way is better."""
    name = f"{verdict.readout}{_in_unit(verdict.unit)} at {time_words(verdict.time)}"
    if verdict.higher_is_better is None:
        return f"{name}: neither more nor less is better; no ranking"
    word = "higher" if verdict.higher_is_better else "lower"
    return f"{name}: {word} is better ({DOMAINS[verdict.domain or 'structure']}; {verdict.why})"


def pair_table(verdict: ReadoutVerdict) -> Table:
    """A row per pair of arms."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("first less second", vertical="bottom")
    harm = "worse" if verdict.margin == 0.0 else f"worse by\n> {verdict.margin:g}"
    ranked = ("first\nbetter", "equal", harm) if verdict.higher_is_better is not None else ()
    for name in ("mean (95 %)", "median", "5 to 95 %\nof samples", *ranked, "samples"):
        table.add_column(name, justify="right")
    for pair in verdict.pairs:
        cells = [_mean(pair, verdict.digits), _signed(pair.median, verdict.digits)]
        cells.append("" if pair.low is None else f"{_signed(pair.low, verdict.digits)} to {_signed(pair.high, verdict.digits)}")
        if ranked:
            cells += [_share(pair.better), _share(pair.tied), _share(pair.harm)]
        cells.append(str(pair.samples) + (f" (-{pair.missing})" if pair.missing else ""))
        table.add_row(Text(f"{pair.first} - {pair.second}"), *map(Text, cells))
    return table


def sentences(verdict: ReadoutVerdict, comparison: Comparison, confirmation: Confirmation | None = None) -> list[str]:
    """The verdict in plain words, a sentence or two per line."""
    if verdict.higher_is_better is None:
        return [f"{pair.first} less {pair.second}: {text}" for pair in verdict.pairs for text in bar_words(pair, verdict)]
    if verdict.samples == 0:
        return ["no sample is good in every arm: there is no order to state"]
    lines = [_orders(verdict)]
    for pair in verdict.pairs:
        lines += pair_sentences(pair, verdict, comparison.scenarios[0])
        lines += [f"  {text}" for text in bar_words(pair, verdict)]
    if confirmation is not None:
        lines.append(check_sentence(confirmation, verdict))
    lines += assumed_sentences(verdict, comparison)
    return lines


def _orders(verdict: ReadoutVerdict) -> str:
    shown = [f"{order} in {_share(order.share)}" for order in verdict.orders[:MOST_ORDERS]]
    left = verdict.orders[MOST_ORDERS:]
    if left:
        shown.append(f"{counted(len(left), 'other order')} in {percent(sum(one.share.count for one in left) / verdict.samples)}")
    return f"order, the best first, in {counted(verdict.samples, 'sample')}: {'; '.join(shown)}"


def pair_sentences(pair: PairVerdict, verdict: ReadoutVerdict, baseline: str) -> list[str]:
    """Which of two arms, how often, and where the order flips. The arm that wins more often is named first."""
    better, worse, tied = pair.better, pair.worse, pair.tied
    if better is None or worse is None or tied is None or better.probability is None:
        return [f"{pair.first} and {pair.second}: no sample is good in both"]
    about = f"by {verdict.readout} at {time_words(verdict.time)}"
    if tied.count == pair.samples:
        return [f"{pair.first} and {pair.second} are equal in all {pair.samples} samples {about}"]
    ahead = better.count >= worse.count
    winner, loser = (pair.first, pair.second) if ahead else (pair.second, pair.first)
    line = f"{winner} beats {loser} in {_share(better if ahead else worse)} of {pair.samples} samples {about}"
    if tied.count:
        line += f", is equal in {percent(tied.probability)}"
    if pair.second == baseline and pair.harm is not None and pair.harm.count:
        more = "" if verdict.margin == 0.0 else f" by more than {_quantity(verdict.margin, verdict.unit)}"
        line += f"; {pair.first} is worse than {baseline}{more} in {_share(pair.harm)}"
    words = flip_words(pair.flip, tied.count) if pair.flip is not None else []
    return [line, *(f"  {text}" for text in words)]


def bar_words(pair: PairVerdict, verdict: ReadoutVerdict) -> list[str]:
    """What error bars leave open between two arms; nothing at full order."""
    if pair.bar == 0.0:
        return []
    what = "the sign" if verdict.higher_is_better is None else "the order"
    flips = f"within the error bars {what} may flip in {pair.undecided} of {counted(pair.samples, 'sample')}"
    if pair.bar is None:
        return [f"{flips}; some bars are infinite, so that the mean has no interval"]
    return [f"{flips}; intervals include them ({_quantity(pair.bar, verdict.unit)} to either side of the mean)"]


def flip_words(flip: Flip, equal: int = 0) -> list[str]:
    """Where the order flips; "it" is the arm that wins more often; ``equal``: samples in which the two are equal."""
    if flip.outcome == "one-sided":
        others = flip.samples - flip.wins
        if not others:
            return []
        return [f"it loses in {counted(others, 'sample')}: too few losing samples (n < {FEWEST}) to describe a region"]
    lines = _region_words(flip)
    ruled = flip.cut is not None or flip.border is not None
    return [f"of the {flip.samples} samples in which they differ:", *lines] if equal and ruled else lines


def _region_words(flip: Flip) -> list[str]:
    """What decides, as far as anything does."""
    if flip.outcome == "no input":
        return [
            f"no input decides: no cut on one and no border between two tells the winner better than always naming {flip.first} "
            f"({percent(flip.base_rate)} right; best rule {100 * flip.gain:+.1f} +/- {100 * flip.gain_error:.1f} points)"
        ]
    lines = []
    if flip.cut is not None:
        cut = flip.cut
        sign, inside, outside = (">", cut.above, cut.below)
        if (cut.above.probability or 0.0) < (cut.below.probability or 0.0):
            sign, inside, outside = ("<", cut.below, cut.above)
        lines.append(
            f"it wins in {_of(inside)} where {cut.path} {sign} {_quantity(cut.threshold, cut.unit)} and in {_of(outside)} "
            f"elsewhere; this cut tells the winner in {percent(cut.accuracy)} of unseen samples ({percent(flip.base_rate)} "
            f"without it)"
        )
    if flip.border is not None:
        border = flip.border
        (x, y), side = border.paths, "above" if border.more_above else "below"
        ends = " to ".join(f"({_quantity(a, border.units[0])}, {_quantity(b, border.units[1])})" for a, b in border.ends)
        without = f" ({percent(flip.base_rate)} without it)" if flip.cut is None else ""
        lines.append(
            f"the two inputs that decide most: it wins in {_of(border.more)} where {y} lies {side} the border over {x} from "
            f"{ends}, and in {_of(border.less)} elsewhere; "
            f"this border tells the winner in {percent(border.accuracy)} of unseen samples{without}"
        )
    return lines


def check_sentence(confirmation: Confirmation, verdict: ReadoutVerdict) -> str:
    """How far the reference engine came to the same order."""
    readout, time = verdict.readout, verdict.time
    total = confirmation.count(readout, time)
    unfinished = confirmation.count(readout, time, "not finished")
    if total + unfinished == 0:
        return f"the reference engine ({confirmation.engine}) has not checked {readout} at {time_words(time)}"
    line = (
        f"the reference engine ({confirmation.engine}) confirmed the order in {confirmation.count(readout, time, 'confirmed')} "
        f"of {counted(total, 'sample')}"
    )
    close, reversed_ = (confirmation.count(readout, time, word) for word in ("too close to call", "reversed"))
    if close:
        line += f"; {close} too close to call (within {100 * confirmation.tolerance:g} %)"
    if reversed_:
        line += f"; {reversed_} REVERSED"
    if unfinished:
        line += f"; {unfinished} without numbers in one of the engines"
    largest = confirmation.largest_difference(readout, time)
    if largest is not None:
        line += f"; the engines differ by at most {largest[0]:.2g}{_unit(verdict.unit)} ({100 * largest[1]:.2g} %)"
    return line


def assumed_sentences(verdict: ReadoutVerdict, comparison: Comparison) -> list[str]:
    """Varied numbers that nobody measured, first those that decide. What is injected is a choice, not an assumption."""
    deciding: dict[str, None] = {}
    for flip in (pair.flip for pair in verdict.pairs):
        if flip is not None and flip.cut is not None:
            deciding[flip.cut.path] = None
        if flip is not None and flip.border is not None:
            deciding |= dict.fromkeys(flip.border.paths)
    doubtful = {one.path: one.evidence for one in comparison.inputs if _is_doubtful(one.path, one.evidence)}
    first = [f"{path} ({doubtful[path]})" for path in deciding if path in doubtful]
    rest = [f"{path} ({word})" for path, word in doubtful.items() if path not in deciding]
    if not first and not rest:
        return []
    parts = [f"decides: {', '.join(first)}"] if first else []
    parts += [f"varied too: {', '.join(rest)}"] if rest else []
    return [f"assumed, not measured: {'; '.join(parts)}"]


def _is_doubtful(path: str, evidence: str) -> bool:
    return evidence in ("assumed", "recalled") and path.rsplit(".", 1)[-1] not in PROTOCOL


def flip_table(verdict: ReadoutVerdict) -> Table | None:
    """The inputs that separate best alone, by pair of arms; nothing where no pair changes its order."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in ("what decides", "input", "rank correlation\nwith the lead", "winner told in\nunseen samples", "without it"):
        table.add_column(name, justify="left" if name in ("what decides", "input") else "right", vertical="bottom")
    for flip in (pair.flip for pair in verdict.pairs if pair.flip is not None):
        for number, screen in enumerate(flip.screens[:MOST_INPUTS]):
            table.add_row(
                Text(f"{flip.first} or {flip.second}" if number == 0 else ""),
                Text(screen.path),
                f"{screen.rank_correlation:+.2f}",
                percent(screen.accuracy),
                percent(flip.base_rate),
            )
    return table if table.row_count else None


def _of(one: Share) -> str:
    return f"{percent(one.probability)} ({one.count} of {one.of})"


def _share(one: Share | None) -> str:
    if one is None or one.probability is None:
        return ""
    if one.low is None or one.high is None:
        return percent(one.probability)
    return f"{percent(one.probability)} ({100 * one.low:.0f}-{100 * one.high:.0f} %)"


def percent(share: float | None) -> str:
    """A share in per cent; 0 and 100 % are kept for none and all."""
    if share is None:
        return "no samples"
    if 0.0 < share < 0.005:
        return "<1 %"
    return ">99 %" if 0.995 <= share < 1.0 else f"{100 * share:.0f} %"


def _mean(pair: PairVerdict, digits: int) -> str:
    text = _signed(pair.mean.value, digits)
    if pair.mean.low is None or pair.mean.high is None:
        return text
    return f"{text} ({_signed(pair.mean.low, digits)} to {_signed(pair.mean.high, digits)})"


def _signed(number: float | None, digits: int) -> str:
    return "" if number is None else signed(number, digits)


def _quantity(number: float, unit: str) -> str:
    """Two significant figures: cuts are not known better."""
    rounded = float(f"{number:.1e}")
    if rounded and not 1e-3 <= abs(rounded) < 1e4:
        mantissa, exponent = f"{rounded:.1e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}{_unit(unit)}"
    return f"{rounded:g}{_unit(unit)}"


def _unit(unit: str) -> str:
    return "" if unit in ("1", "dimensionless") else f" {unit}"


def _in_unit(unit: str) -> str:
    return "" if unit in ("1", "dimensionless") else f" ({unit})"
