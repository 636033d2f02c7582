"""The report of a run or a sweep as one page: question, methods, numbers, verdict, limits, what is assumed, what failed, where
it came from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import xarray as xr

from discsim.report.origin import origin_facts
from discsim.report.page import Page
from discsim.report.tables import readout_table, time_words

if TYPE_CHECKING:
    from discsim.study.check import Confirmation
    from discsim.study.ensemble import Ensemble
    from discsim.study.evidence import PartialAssumption
    from discsim.study.result import Result
    from discsim.study.sensitivity import Sensitivity
    from discsim.study.sweep_folder import Manifest
    from discsim.study.verdict import Comparison

OUT_OF_USE = (
    "Out of use: individual patients, clinical decisions, regulatory claims. The model compares research hypotheses.",
    "No human data validate the effect of a therapy in this model; verification and validation of its parts: discsim vv list.",
    "Pain and structure are different questions; no number here stands for both.",
)


def run_page(result: Result) -> Page:
    """The report of a run."""
    from discsim.report.plots import field_sections, time_courses
    from discsim.study.evidence import evidence_line

    page = Page(result.title)
    page.words(f"Scenarios compared over {time_words(result.duration)}: {', '.join(result.scenario_names)}.")
    for name, failure in result.failed().items():
        page.words(f"{name} did not finish: {failure.reason} ({failure.status}). {failure.advice}", bad=True)
    page.heading("Methods")
    page.words(
        str(result.tree.attrs["summary"]) + ". Nominal values of every parameter; differences are from the first scenario."
    )
    _experiment(page, result.config)
    page.heading("Results")
    page.picture(time_courses(result), "every readout of every scenario over time")
    entries = result.table()
    for readout in result.readout_names:
        page.heading(f"{readout} ({result.unit(readout)}): {result.attributes(readout)['long_name']}", 3)
        page.table(readout_table(result, readout, [entry for entry in entries if entry.readout == readout]))
        errors = {name: result.discretisation_error(name, readout) for name in result.scenario_names}
        stated = [f"{name} {error:.2g}" for name, error in errors.items() if error is not None]
        page.words(f"Error by mesh and steps: {', '.join(stated)}" if stated else "No error by mesh and steps is stated.")
    for name in result.scenario_names:
        if result[name].has_fields:
            page.heading(f"Fields of {name}", 3)
            page.picture(field_sections(result, name), f"half sections of the disc, {name}")
    _limits(page)
    page.heading("What is assumed")
    line = evidence_line(result.partial_assumptions)
    page.words(line or "No assumed number acts on some scenarios only.")
    _parameters(page, result.parameters)
    _origin(page, result.tree.attrs)
    return page


def sweep_page(
    ensemble: Ensemble,
    comparison: Comparison,
    confirmation: Confirmation | None,
    held: tuple[PartialAssumption, ...],
    sensitivities: tuple[Sensitivity, ...] | str,
    manifest: Manifest,
    nominal: xr.DataTree,
) -> Page:
    """The report of a sweep. ``sensitivities``: those of its readouts, or why there are none."""
    from discsim.report import verdict as words
    from discsim.report.engines import engine_sentence
    from discsim.report.verdict_plots import deciding_inputs, drawable, paired_differences

    page = Page(comparison.title)
    page.words(words.design_sentence(comparison))
    if len(ensemble.numbers) < manifest.count:
        page.words(f"{len(ensemble.numbers)} of {manifest.count} samples are computed: the sweep is not finished.", bad=True)
    page.heading("Methods")
    page.words(words.RESOLUTION_SENTENCE)
    if comparison.engines:
        page.words(engine_sentence(comparison.engines))
    header = ("varied number", "from", "to", "unit", "scale", "evidence")
    page.rows(header, [(i.path, f"{i.low:.4g}", f"{i.high:.4g}", i.unit, i.scale, i.evidence) for i in ensemble.inputs])
    _experiment(page, str(nominal.attrs.get("discsim_config", "")))
    page.heading("Verdicts")
    if not comparison.verdicts:
        _spreads(page, ensemble)
    for time in dict.fromkeys(verdict.time for verdict in comparison.verdicts):
        verdicts = [verdict for verdict in comparison.verdicts if verdict.time == time]
        page.picture(paired_differences(ensemble, verdicts), f"paired differences between scenarios at {time_words(time)}")
    for verdict in comparison.verdicts:
        page.heading(words.heading(verdict), 3)
        page.table(words.pair_table(verdict))
        page.listed(words.sentences(verdict, comparison, confirmation))
        deciding = words.flip_table(verdict)
        if deciding is not None:
            page.table(deciding)
        if drawable(verdict):
            page.picture(deciding_inputs(ensemble, verdict), f"the two inputs that decide {verdict.readout}")
    if confirmation is None:
        page.words("The reference engine has not checked this sweep.", bad=True)
    sensitivity_section(page, sensitivities)
    page.heading("Failed samples")
    page.words(*(words.failed_sentence(failed) for failed in comparison.failed), bad=True)
    if not comparison.failed:
        page.words("None.")
    _limits(page)
    page.heading("What is assumed")
    page.words(*(words.held_sentences(held) if held else ("No assumed number that acts on some scenarios only was held fixed.",)))
    _parameters(page, nominal.children["parameters"].to_dataset(inherit=False))
    _origin(page, nominal.attrs)
    return page


def _spreads(page: Page, ensemble: Ensemble) -> None:
    """What a sweep of one scenario has instead of verdicts."""
    from discsim.report.sweep_tables import spread_table, spread_words

    page.words("One scenario: nothing to compare. Its readouts over the good samples:")
    for readout, unit in ensemble.units.items():
        page.heading(spread_words(readout, unit), 3)
        page.table(spread_table(ensemble, readout))


def sensitivity_section(page: Page, found: tuple[Sensitivity, ...] | str) -> None:
    """Which inputs each readout, and each scenario's difference from the first, depends on."""
    from discsim.report import sensitivity as words
    from discsim.report.sensitivity_plots import sensitivity_indices

    page.heading("What the readouts depend on")
    if isinstance(found, str):
        page.words(f"No sensitivity is stated: {found}.")
        return
    page.words(
        "Indices beside those of a dummy input, which changes nothing: what does not rise above it may be chance. Scenarios "
        "after the first are analysed by their difference from it: what moves all alike decides nothing between them."
    )
    for readout, time in dict.fromkeys((one.readout, one.time) for one in found):
        ours = [one for one in found if (one.readout, one.time) == (readout, time)]
        page.heading(f"{readout} at {time_words(time)}", 3)
        figure = sensitivity_indices(ours)
        if figure is not None:
            page.picture(figure, f"sensitivity of {readout} to every varied number, by scenario")
        for one in ours:
            page.words(f"{words.subject(one)}: {words.summary(one)}.")
            if one.engines or one.bar != 0.0:
                page.words(f"{words.bar_line(one)}.")
            if one.inputs:
                page.table(words.table(one))
            page.words(one.note, bad="warning: " in one.note)


def _experiment(page: Page, config: str) -> None:
    if config:
        page.folded("the experiment file with every default written out", config)
    else:
        page.words("The study was built in Python; no experiment file stands for it.")


def _limits(page: Page) -> None:
    page.heading("Limits")
    page.listed(OUT_OF_USE)


def _parameters(page: Page, table: xr.Dataset) -> None:
    """How many numbers rest on what, and those of them that were not measured, each once."""
    rows: dict[tuple[str, str], list[str]] = {}
    counts: dict[str, set[str]] = {}
    columns = ("path", "scenario", "value", "unit", "evidence", "source", "choice")
    for path, scenario, value, unit, evidence, source, choice in zip(*(table[name].values for name in columns), strict=True):
        if choice:
            continue
        counts.setdefault(str(evidence), set()).add(str(path))
        if evidence != "measured":
            rows.setdefault((str(path), f"{float(value):.6g} {unit}"), [str(evidence), str(source)]).append(str(scenario))
    page.words("Numbers by evidence: " + ", ".join(f"{len(paths)} {word}" for word, paths in sorted(counts.items())) + ".")
    lines = (f"{path} = {text}  [{evidence}] {source}" for (path, text), (evidence, source, *_) in rows.items())
    page.folded("every number that was not measured", "\n".join(lines))


def _origin(page: Page, attributes: Mapping[Any, Any]) -> None:
    page.heading("Where it came from")
    page.facts(origin_facts(attributes))
    page.words("discsim reproduce reruns an experiment file and compares the numbers.")
