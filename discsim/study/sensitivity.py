"""Sensitivity: how much of what a readout does in the swept box comes from which input, beside what a dummy input gets.

Analysed are the readouts of the baseline, and of every other arm its difference from the baseline in the same samples: what moves
all arms alike decides nothing between them. By kind of design:

- ``saltelli``: first-order and total Sobol indices (shares of the variance; SALib), interval by bootstrap;
- ``morris``: mean absolute change for a step of half the distribution (SALib), interval by bootstrap;
- ``random``, ``latin_hypercube``, ``sobol``: first-order indices from the samples as they are: variance of the means over equal
  classes of an input (SALib), interval by bootstrap. They estimate the same number as the first-order Sobol index, whereas delta
  and PAWN have scales of their own, and PAWN's also depends on its slices (Puy, Lo Piano and Saltelli 2020, arXiv 1904.04488).
  RBD-FAST was tried and left: on Sobol points its waves meet those of the net, and an additive function of eight inputs with
  exact indices 0.76, 0.19 and 0.05 came out with standard deviations up to 0.15 at 256 points, here with 0.002.

Error bars of a reduced engine are told beside the spread: an index is a share of what a readout does, and where the bars are no
longer small beside that, of the engine's error too.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np

from discsim.study.ensemble import Ensemble, Floats
from discsim.study.error_bars import bars_at, engine_counts, finite
from discsim.study.sensitivity_designs import LEVELS, STEP, STRUCTURED
from discsim.study.verdict import RESOLUTION, VerdictError, check_readout, time_index, usable_rows, values_at

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Method = Literal["sobol", "morris", "class_means"]
GIVEN_DATA = ("random", "latin_hypercube", "sobol")
FEWEST_GIVEN = 64
DUMMIES = 400  # draws of a dummy input
RESAMPLES = 200
FEWEST_INTERVAL = 10  # trajectories: of fewer the bootstrap draws the same few again and again, and its interval is too narrow
BAR_LIMIT = 0.05  # of the standard deviation: a larger error bar is pointed out
_SEED = 12


class Holes(VerdictError):
    """Samples are missing from a design every point of which counts."""


@dataclasses.dataclass(frozen=True)
class Index:
    """An index with its 95 % interval (bootstrap); without one where there is too little to draw from."""

    value: float
    low: float | None
    high: float | None


@dataclasses.dataclass(frozen=True)
class InputSensitivity:
    """Indices of one input by name: "first", "total" (shares of the variance), or "effect" (in the readout's unit).

    ``stands_out``: those that lie above what a dummy input reaches.
    """

    path: str
    evidence: str
    indices: Mapping[str, Index]
    stands_out: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Sensitivity:
    """Indices of one readout at one time (s), of a scenario or of its difference from ``against``.

    ``samples``: rows used, ``left_out`` those without numbers; ``spread``: standard deviation, in ``unit``; ``inputs``: the most
    influential first; ``dummy``: what an input that changes nothing gets, ``floor``: what it stays below in 95 % of repetitions;
    ``note``: what limits the reading, such as a readout that does not vary (then there are no inputs). ``engines``: how many of
    the samples each engine computed (nothing where the sweep does not say so); ``bar``: the largest error bar among them, of a
    difference the sum of both, in ``unit`` (0 at full order; nothing where it is infinite).
    """

    readout: str
    unit: str
    time: float
    scenario: str
    against: str | None
    method: Method
    samples: int
    left_out: int
    spread: float
    inputs: tuple[InputSensitivity, ...]
    dummy: Mapping[str, float]
    floor: Mapping[str, float]
    note: str
    engines: Mapping[str, int] = dataclasses.field(default_factory=dict)
    bar: float | None = 0.0


@functools.cache
def _adapter() -> TypeAdapter[tuple[Sensitivity, ...]]:
    from pydantic import TypeAdapter

    return TypeAdapter(tuple[Sensitivity, ...])


def sensitivities_to_json(found: tuple[Sensitivity, ...]) -> str:
    """As JSON; ``sensitivities_from_json`` reads it back."""
    return _adapter().dump_json(found, indent=2).decode()


def sensitivities_from_json(text: str | bytes) -> tuple[Sensitivity, ...]:
    """What ``sensitivities_to_json`` wrote; raises ``pydantic.ValidationError`` for other text."""
    return _adapter().validate_json(text)


def sensitivities(
    ensemble: Ensemble,
    *,
    readouts: Iterable[str] | None = None,
    times: Iterable[float] | None = None,
    given_data: bool = False,
    planned: int = 0,
) -> tuple[Sensitivity, ...]:
    """Indices of every readout (all where left out) at every time (s; the last where left out).

    ``planned``: samples of the whole design; of a Saltelli or Morris design with fewer the whole blocks are analysed, with a
    warning. ``given_data``: analyse the good, independent samples of a Saltelli design like drawn ones. Raises ``Holes`` where
    samples of a begun block are missing, and ``VerdictError`` for an unknown readout or time, and for designs and sizes that
    admit no indices.
    """
    chosen = tuple(ensemble.units) if readouts is None else tuple(readouts)
    for name in chosen:
        check_readout(ensemble, name)
    indices = [time_index(ensemble, time) for time in times] if times is not None else [len(ensemble.times) - 1]
    method = _method(ensemble, given_data)
    unfinished = ""
    if method != "class_means":
        check_complete(ensemble, planned)
        unfinished = _unfinished(ensemble.numbers.size, planned)
    baseline, *arms = ensemble.scenarios
    targets = [(baseline, None), *((arm, baseline) for arm in arms)]
    found = [
        _analyse(ensemble, method, name, index, scenario, against)
        for name in chosen
        for index in indices
        for scenario, against in targets
    ]
    return tuple(dataclasses.replace(one, note=_notes(one.note, unfinished)) for one in found)


def _unfinished(there: int, planned: int) -> str:
    if there >= planned:
        return ""
    return (
        f"warning: {planned - there} of the {planned} samples of the design are missing: indices of the first {there} alone; "
        "the same discsim sweep command goes on with the rest"
    )


def _method(ensemble: Ensemble, given_data: bool) -> Method:
    kind = ensemble.design_kind
    if not ensemble.inputs:
        raise VerdictError(f"{ensemble.title}: nothing was varied")
    if kind == "morris" and given_data:
        raise VerdictError("given-data indices need values drawn from the whole box; a Morris design has four levels")
    if kind in STRUCTURED and not given_data:
        return "sobol" if kind == "saltelli" else "morris"
    if kind not in (*GIVEN_DATA, "saltelli"):
        raise VerdictError(
            f"design {kind}: its samples are chosen, not drawn, and have no variance to share out; "
            f"sensitivity needs kind {', '.join((*STRUCTURED, *GIVEN_DATA))}"
        )
    return "class_means"


def check_complete(ensemble: Ensemble, planned: int = 0) -> None:
    """Raises ``Holes`` unless every point of every begun block of a Saltelli or Morris design has numbers in every scenario.

    An estimator would not complain: with one missing number every Sobol index comes out as zero.
    """
    kind, count = ensemble.design_kind, len(ensemble.inputs)
    block = count + (2 if kind == "saltelli" else 1)
    begun = block * -(-(int(ensemble.numbers.max(initial=-1)) + 1) // block)
    absent = begun - ensemble.numbers.size
    by_arm = {name: int((~ensemble.good(name)).sum()) for name in ensemble.scenarios}
    failed = int((~ensemble.good()).sum())
    if begun == 0 or absent or failed:
        total = max(begun, planned)
        words = [f"{failed} failed ({', '.join(f'{n} in {name}' for name, n in by_arm.items() if n)})"] if failed else []
        words += [f"{total - ensemble.numbers.size} are not there yet"] if absent or begun == 0 else []
        other = ", or --given-data for first-order indices of the good samples" if kind == "saltelli" else ""
        raise Holes(
            f"{kind} design: of {total} samples {' and '.join(words)}; every one counts. "
            f"Run the sweep again with retries, narrow [design.vary] where they fail{other}"
        )
    if not np.array_equal(ensemble.numbers, np.arange(begun)) or not _structured(ensemble, block):
        raise VerdictError(f"{kind} design: its samples are not in the order of such a design; it cannot be analysed as one")


def _structured(ensemble: Ensemble, block: int) -> bool:
    """Whether the inputs move one at a time as the design says."""
    points = np.column_stack([one.values for one in ensemble.inputs]).reshape(-1, block, len(ensemble.inputs))
    if ensemble.design_kind == "morris":
        moved = points[:, 1:] != points[:, :-1]
        # Of an input with named values a step may lead to the same value again: at most one moves, and none twice.
        return bool(np.all(moved.sum(axis=2) <= 1) and np.all(moved.sum(axis=1) <= 1))
    first, last = points[:, :1], points[:, -1:]
    mixed = np.eye(len(ensemble.inputs), dtype=bool)[None]
    return bool(np.all(points[:, 1:-1] == np.where(mixed, last, first)))


def _analyse(ensemble: Ensemble, method: Method, readout: str, index: int, scenario: str, against: str | None) -> Sensitivity:
    numbers = values_at(ensemble, scenario, readout, index)
    size = np.abs(numbers)
    if against is not None:
        other = values_at(ensemble, against, readout, index)
        numbers, size = numbers - other, np.maximum(size, np.abs(other))
    rows = usable_rows(ensemble) if method == "class_means" else np.ones(numbers.size, bool)
    good = rows & np.isfinite(numbers)
    if method != "class_means" and not good.all():
        raise Holes(f"{readout} of {scenario}: {int((~good).sum())} samples have no number at this time; every one counts")
    if good.sum() < FEWEST_GIVEN and method == "class_means":
        raise VerdictError(f"{int(good.sum())} good samples; indices of drawn samples need at least {FEWEST_GIVEN}")
    y = numbers[good]
    arms = (scenario,) if against is None else (scenario, against)
    bar = float(np.sum([bars_at(ensemble, name, readout, index)[good] for name in arms], axis=0).max())
    noise = RESOLUTION * float(size[good].max())
    blank = Sensitivity(
        readout,
        ensemble.units[readout],
        float(ensemble.times[index]),
        scenario,
        against,
        method,
        int(good.sum()),
        int((rows & ~good).sum()),
        float(y.std(ddof=1)),
        (),
        {},
        {},
        bar_note(bar, float(y.std(ddof=1))),
        engine_counts(ensemble, good, *arms),
        finite(bar),
    )
    if np.ptp(y) <= noise:
        return dataclasses.replace(blank, note=_notes("does not vary in the swept box", blank.note))
    points = np.column_stack([np.asarray(one.values, float) for one in ensemble.inputs])[good]
    if method == "sobol":
        indices, dummy, floor = _sobol(y, points.shape[1])
    elif method == "morris":
        indices, dummy, floor = _morris(points, y, noise)
    else:
        independent = ensemble.design_kind in ("random", "latin_hypercube")
        indices, dummy, floor = _class_means(points, y, independent=independent)
    note = _correlation_note(ensemble, points) if method == "class_means" else ""
    if method == "morris" and (trajectories := y.size // (points.shape[1] + 1)) < FEWEST_INTERVAL:
        note = f"no intervals: {trajectories} trajectories are too few to draw from (at least {FEWEST_INTERVAL}: design.samples)"
    return _filled(blank, ensemble, indices, dummy, floor, note)


def _filled(
    blank: Sensitivity,
    ensemble: Ensemble,
    indices: list[dict[str, Index]],
    dummy: dict[str, float],
    floor: dict[str, float],
    note: str,
) -> Sensitivity:
    rows = [
        InputSensitivity(one.path, one.evidence, found, tuple(name for name in found if found[name].value > floor[name]))
        for one, found in zip(ensemble.inputs, indices, strict=True)
    ]
    leading = "total" if "total" in floor else next(iter(floor))
    rows.sort(key=lambda row: -row.indices[leading].value)
    return dataclasses.replace(blank, inputs=tuple(rows), dummy=dummy, floor=floor, note=_notes(note, blank.note))


def bar_note(bar: float, spread: float) -> str:
    """A warning where the largest error bar is not small beside the standard deviation."""
    if bar <= BAR_LIMIT * spread:
        return ""
    size = f"{100.0 * bar / spread:.3g} %" if spread > 0.0 and np.isfinite(bar) else "more than all"
    return (
        f"warning: the largest error bar is {size} of the standard deviation (limit {100.0 * BAR_LIMIT:g} %), so that indices "
        "may tell the error of the reduced engine; a smaller tolerance has more samples recomputed at full order"
    )


def _notes(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _problem(dimensions: int) -> dict[str, object]:
    return {"num_vars": dimensions, "names": [f"x{i}" for i in range(dimensions)], "bounds": [[0.0, 1.0]] * dimensions}


def _sobol(y: Floats, dimensions: int) -> tuple[list[dict[str, Index]], dict[str, float], dict[str, float]]:
    """First-order (Saltelli 2010) and total (Jansen) indices of a Saltelli design, and those of a dummy input.

    A dummy changes no output, so that its mixed points repeat A. The difference estimators give it exactly zero; the estimators
    by correlation give S = (mean(A B) - m^2)/V and S_T = 1 - (mean(A A) - m^2)/V (Khorashadi Zadeh et al. 2017, as in the R
    package sensobol), which are not zero for want of samples and so show what the sample resolves.
    """
    from SALib.analyze import sobol

    found = sobol.analyze(_problem(dimensions), y, calc_second_order=False, num_resamples=RESAMPLES, seed=_SEED)
    indices = [
        {
            key: Index(*(float(value + sign * width) for sign in (0.0, -1.0, 1.0)))
            for key, value, width in (
                ("first", found["S1"][i], found["S1_conf"][i]),
                ("total", found["ST"][i], found["ST_conf"][i]),
            )
        }
        for i in range(dimensions)
    ]
    blocks = y.reshape(-1, dimensions + 2)
    a, b = blocks[:, 0], blocks[:, -1]
    drawn = np.random.default_rng(_SEED).integers(a.size, size=(1000, a.size))
    repeated = _dummy(a[drawn], b[drawn])
    floor = {key: float(np.quantile(np.abs(values), 0.95)) for key, values in repeated.items()}
    return indices, {key: float(value) for key, value in _dummy(a, b).items()}, floor


def _dummy(a: Floats, b: Floats) -> dict[str, Floats]:
    middle = 0.5 * (a.mean(axis=-1, keepdims=True) + b.mean(axis=-1, keepdims=True))
    a, b = a - middle, b - middle
    variance = 0.5 * ((a * a).mean(axis=-1) + (b * b).mean(axis=-1))
    return {"first": (a * b).mean(axis=-1) / variance, "total": 1.0 - (a * a).mean(axis=-1) / variance}


def _morris(points: Floats, y: Floats, noise: float) -> tuple[list[dict[str, Index]], dict[str, float], dict[str, float]]:
    """Mean absolute change of the output when an input moves by half of its distribution.

    The model is deterministic: a dummy moves nothing, and only the numerical resolution of two outputs hides small effects.
    """
    from SALib.analyze import morris

    found = morris.analyze(_problem(points.shape[1]), points, y, num_resamples=RESAMPLES, num_levels=LEVELS, seed=_SEED)
    few = y.size // (points.shape[1] + 1) < FEWEST_INTERVAL
    indices = []
    for effect, width in zip(np.asarray(found["mu_star"]) * STEP, np.asarray(found["mu_star_conf"]) * STEP, strict=True):
        ends = (None, None) if few else (max(0.0, float(effect - width)), float(effect + width))
        indices.append({"effect": Index(float(effect), *ends)})
    return indices, {"effect": 0.0}, {"effect": 2.0 * noise}


def _class_means(
    points: Floats, y: Floats, *, independent: bool
) -> tuple[list[dict[str, Index]], dict[str, float], dict[str, float]]:
    """First-order indices of drawn samples, and those of dummy inputs: random numbers that the model never saw.

    S = Var(mean of the class)/Var, of equal classes of an input. A dummy gets b = (classes - 1)/n of it, and so does, of what
    others bring, an input of ``independent`` samples: S = (S' - b)/(1 - b) there. Sobol points are even in pairs of inputs too,
    so that nothing is to be taken off, and the floor is higher than it need be. The floor is what none of as many dummies as
    there are inputs exceeds in 95 % of repetitions. Of the variance of a straight line, classes miss 1/classes^2.
    """
    from SALib.analyze.delta import sobol_first

    rng = np.random.default_rng(_SEED)
    mixed = rng.permutation(y.size)  # equal values of an input (named ones) then stand in no order of other inputs
    points, y = points[mixed], y[mixed]
    edges = np.linspace(0, y.size, _classes(y.size) + 1)
    dummies = np.array([sobol_first(y, rng.random(y.size), edges) for _ in range(DUMMIES)])
    bias = float(dummies.mean()) if independent else 0.0
    drawn = rng.integers(y.size, size=(RESAMPLES, y.size))
    indices = []
    for column in points.T:
        value = (float(sobol_first(y, column, edges)) - bias) / (1.0 - bias)
        again = [sobol_first(y[rows], column[rows], edges) for rows in drawn]
        width = 1.96 * float(np.std(again, ddof=1)) / (1.0 - bias)
        indices.append({"first": Index(value, value - width, value + width)})
    dummies = (dummies - bias) / (1.0 - bias)
    floor = float(np.quantile(dummies, 0.95 ** (1.0 / points.shape[1])))
    return indices, {"first": float(dummies.mean())}, {"first": floor}


def _classes(count: int) -> int:
    """A power of two, which Sobol points fill evenly."""
    return 8 if count < 1024 else 16


def _correlation_note(ensemble: Ensemble, points: Floats) -> str:
    """Says where inputs are correlated: the index of one then counts what comes through the other too."""
    from scipy.stats import rankdata

    if points.shape[1] < 2:
        return ""
    ranks = rankdata(points, axis=0)
    varied = np.ptp(ranks, axis=0) > 0.0
    between = np.zeros((points.shape[1],) * 2)
    if varied.sum() > 1:
        between[np.ix_(varied, varied)] = np.corrcoef(ranks[:, varied], rowvar=False)
    strength = np.abs(np.triu(between, 1))
    if strength.max() < 5.0 / np.sqrt(len(points)):
        return ""
    one, other = np.unravel_index(int(np.argmax(strength)), strength.shape)
    pair = f"{ensemble.inputs[int(one)].path} and {ensemble.inputs[int(other)].path}"
    return f"inputs are correlated ({pair}: {between[one, other]:+.2f}); an index also counts what comes through the partner"
