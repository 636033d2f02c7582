"""Samples of a design as plain numbers: points of the unit cube, correlations, and the distributions that they are taken through.

A value is the quantile of its point: value = F^-1(F(low) + u (F(high) - F(low))), with u in (0, 1) and F the distribution
function, so that a distribution is cut off at its bounds (``low``, ``high``) and no probability piles up there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from discsim.quantities import units
from discsim.study.sensitivity_designs import STRUCTURED, morris_cube, saltelli_cube

Floats = NDArray[np.float64]

# scipy's Sobol points are multiples of 2^-30, zero included, whose normal score is infinite: they are kept half a step inside.
_HALF_STEP = 2.0**-31


def unit_samples(kind: str, count: int, dimensions: int, seed: int) -> Floats:
    """Points of the unit cube, shape (samples, dimensions), none on its faces; ``samples`` is ``count``, or what a saltelli or
    morris design makes of ``count`` base samples or trajectories.

    ``random``: sample i of input j is number i of the Philox stream of (seed, j), a generator whose counter is the sample's
    number. ``sobol``: scrambled (Owen) Sobol points; the scrambling depends on the seed and the number of inputs. In both, the
    first n of more samples are the n samples. ``latin_hypercube``: each of ``count`` equal slices of every input holds one
    sample, so that samples *cannot* be the same for another count; they depend on the seed and the count.
    """
    from scipy.stats import qmc  # here, because it is slow to import and only drawing needs it

    if kind == "random":
        streams = [np.random.Philox(np.random.SeedSequence(seed, spawn_key=(column,))) for column in range(dimensions)]
        cube = np.column_stack([np.random.Generator(stream).random(count) for stream in streams])
    elif kind == "sobol":
        cube = qmc.Sobol(dimensions, scramble=True, rng=np.random.default_rng(seed)).random(count)
    elif kind == "latin_hypercube":
        cube = qmc.LatinHypercube(dimensions, rng=np.random.default_rng(seed)).random(count)
    elif kind in STRUCTURED:
        cube = {"saltelli": saltelli_cube, "morris": morris_cube}[kind](count, dimensions, seed)
    else:
        raise ValueError(f"kind {kind!r} draws no samples; random, sobol, latin_hypercube, saltelli and morris do")
    return np.clip(np.asarray(cube, dtype=np.float64), _HALF_STEP, 1.0 - _HALF_STEP)


def correlated(cube: Floats, matrix: Floats, *, keep_slices: bool = False) -> Floats:
    """Points of the unit cube with a Gaussian copula: normal scores z = L n, L L^T = ``matrix``, n the scores of the points.

    ``matrix`` holds Pearson correlations of the scores. Sample i depends on point i alone, unless ``keep_slices``: then every
    column keeps its own numbers, put in the order of the scores (Iman and Conover), so that a Latin hypercube remains one.
    """
    from scipy.special import ndtr, ndtri

    scores = ndtri(cube) @ np.linalg.cholesky(matrix).T
    if not keep_slices:
        return np.clip(ndtr(scores), _HALF_STEP, 1.0 - _HALF_STEP)
    ranks = scores.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
    return np.take_along_axis(np.sort(cube, axis=0), ranks, axis=0)


def levels(entry: Mapping[str, Any], unit: str) -> Floats:
    """The values of a range of a grid or list: those that are named, or ``count`` equal steps (on its scale) from end to end."""
    if "values" in entry:
        return np.array([units.parse(value, unit) for value in entry["values"]])
    low, high = units.parse(entry["low"], unit), units.parse(entry["high"], unit)
    steps = np.geomspace if scale_of(entry) == "log" else np.linspace
    return np.asarray(steps(low, high, entry.get("count", 2)), dtype=np.float64)


def scale_of(entry: Mapping[str, Any]) -> str:
    """The scale on which a range is even or symmetric: linear or log."""
    return "log" if entry.get("dist") in ("loguniform", "lognormal") else str(entry.get("scale", "linear"))


def range_of(entry: Mapping[str, Any], unit: str, bounds: tuple[float, float]) -> tuple[float, float]:
    """Least and greatest value that a range may give; ``bounds`` are those of the parameter, all in ``unit``."""
    if "values" in entry:
        found = levels(entry, unit)
        return float(found.min()), float(found.max())
    if "low" in entry:
        return units.parse(entry["low"], unit), units.parse(entry["high"], unit)
    return bounds


def quantiles(entry: Mapping[str, Any], unit: str, bounds: tuple[float, float], cube: Floats) -> Floats:
    """Values of one input, in ``unit``, at points of (0, 1); ``values`` are equally likely, the least first."""
    from scipy import stats

    if "values" in entry:
        named = np.sort(levels(entry, unit))
        return named[(cube * len(named)).astype(np.int64)]
    low, high = range_of(entry, unit, bounds)
    dist = entry.get("dist") or {"linear": "uniform", "log": "loguniform"}[scale_of(entry)]
    if dist == "uniform":
        found = stats.uniform.ppf(cube, low, high - low)
    elif dist == "loguniform":
        found = stats.loguniform.ppf(cube, low, high)
    elif dist == "triangular":
        mode = units.parse(entry["mode"], unit)
        found = stats.triang.ppf(cube, (mode - low) / (high - low), low, high - low)
    elif dist == "normal":
        mean, spread = units.parse(entry["mean"], unit), units.parse(entry["sd"], unit)
        found = stats.truncnorm.ppf(cube, (low - mean) / spread, (high - mean) / spread, mean, spread)
    else:
        middle, spread = math.log(units.parse(entry["median"], unit)), math.log(entry["gsd"])
        ends = [(math.log(end) - middle) / spread if end > 0.0 else -math.inf for end in (low, high)]
        found = np.exp(stats.truncnorm.ppf(cube, *ends, middle, spread))
    return np.clip(found, low, high)  # round-off only: the quantiles lie between the ends
