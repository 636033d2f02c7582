"""Designs of variance-based (Saltelli) and elementary-effect (Morris) sensitivity analysis, as points of the unit cube.

Both move inputs one at a time from shared points, so that every point counts: an analysis of them admits no hole. They are mapped
to values like those of any other design, by the quantiles of each input; inputs must be independent.
"""

from __future__ import annotations

import numpy as np

from discsim.study.ensemble import Floats

STRUCTURED = ("saltelli", "morris")
LEVELS = 4
# SALib's step between the levels of a trajectory (two of four levels), as it divides by it.
STEP = LEVELS / (2.0 * (LEVELS - 1.0))
FEWEST_TRAJECTORIES = 2


def saltelli_cube(samples: int, dimensions: int, seed: int) -> Floats:
    """Points of a Saltelli design, shape (samples (dimensions + 2), dimensions).

    ``samples`` base samples, a power of two, of a scrambled Sobol sequence in twice the dimensions give points A and B; a block
    of the design is A, A with input 1 of B, ..., A with the last input of B, then B. The first blocks of more samples are those
    of fewer. Saltelli et al. 2010, 10.1016/j.cpc.2009.09.018; without second-order indices.
    """
    from SALib.sample import sobol

    if samples < 1 or samples & (samples - 1):
        raise ValueError(f"{samples} base samples: a Saltelli design has a power of two")
    cube = sobol.sample(_problem(dimensions), samples, calc_second_order=False, seed=np.random.default_rng(seed))
    return np.asarray(cube, dtype=np.float64)


def morris_cube(samples: int, dimensions: int, seed: int) -> Floats:
    """Points of a Morris design, shape (samples (dimensions + 1), dimensions).

    ``samples`` trajectories, in each of which every input moves once, by two of four levels. The levels are the middles of the
    four equal slices of the distribution (1/8, 3/8, 5/8, 7/8), not its ends, which a distribution without ends does not have.
    Morris 1991, 10.1080/00401706.1991.10484804.
    """
    from SALib.sample import morris

    if samples < FEWEST_TRAJECTORIES:
        raise ValueError(f"{samples} trajectories: a Morris design has at least {FEWEST_TRAJECTORIES}")
    levels = morris.sample(_problem(dimensions), samples, num_levels=LEVELS, seed=np.random.default_rng(seed))
    return np.asarray((np.rint(levels * (LEVELS - 1)) + 0.5) / LEVELS, dtype=np.float64)


def runs(kind: str, samples: int, dimensions: int) -> int:
    """Points of a design: ``samples`` base samples or trajectories of so many inputs."""
    return samples * (dimensions + {"saltelli": 2, "morris": 1}[kind])


def _problem(dimensions: int) -> dict[str, object]:
    return {"num_vars": dimensions, "names": [f"x{i}" for i in range(dimensions)], "bounds": [[0.0, 1.0]] * dimensions}
