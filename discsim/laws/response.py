"""Dose responses of cells: saturation, cooperation, gates of acidity and glucose, crowding, transduction."""

from math import log

import jax
import jax.numpy as jnp

from discsim.laws.guards import Scalar, non_negative

LN10 = log(10.0)


def michaelis_menten(x: Scalar, half: Scalar) -> jax.Array:
    """Saturating response to a concentration.

    f = x / (x + K), x = max(x, 0).

    Symbols: `x` and `half` K in one unit. Returns 0..1, exactly zero at x = 0, one half at x = K.
    Source: Michaelis & Menten form, definition. Validity: K > 0.
    """
    amount = non_negative(x)
    return amount / (amount + half)


def hill(x: Scalar, half: Scalar, exponent: Scalar) -> jax.Array:
    """Cooperative response to a concentration.

    f = (x/K)^n / (1 + (x/K)^n), x = max(x, 0).

    Symbols: `x` and `half` K in one unit; `exponent` n (-). Returns 0..1, exactly zero at x = 0, one half at x = K.
    Source: Hill form, definition. Validity: K > 0, n >= 1 (below 1 the slope at zero is infinite), (x/K)^n < 1e300.
    """
    power = (non_negative(x) / half) ** exponent
    return power / (1.0 + power)


def acid_gate(ph: Scalar, half_ph: Scalar, steepness: Scalar) -> jax.Array:
    """Share of synthesis that survives an acid surrounding.

    f = 1 / (1 + 10^(n (pK - pH))).

    Symbols: `ph` pH; `half_ph` pK, pH of one half; `steepness` n per unit of pH. Returns 0..1, rising with pH.
    Source: form and pK 6.75, n 3 assumed; derived: fit to GAG synthesis and TIMP-1 at pH 6.4 below 0.10 of those at
    7.2, Razaq 2003, measured. These give the ratio 0.0855. Validity: pH 6.2-7.4; pK 6.6-6.9.
    Trap: the amount of active MMP did not change with pH in the same work; do not put this gate on it.
    """
    return jax.nn.sigmoid(LN10 * steepness * (ph - half_ph))


def glucose_gate(glucose: Scalar, half_glucose: Scalar, steepness: Scalar) -> jax.Array:
    """Share of matrix gene expression that the glucose at hand allows.

    f = 1 / (1 + exp(-s (G - G_h))).

    Symbols: `glucose` G, `half_glucose` G_h, mM; `steepness` s per mM. Returns 0..1, rising with glucose.
    Source: [code] abaqusIVD after Baumgartner 2021, 10.3389/fbioe.2021.734258: aggrecan s 18 per mM and half at 0.573
    mM (derived from the coded constants); evidence: model. Validity: 0 <= G <= 5 mM.
    Trap: not exactly zero at G = 0 (3e-5 with those constants); a rate that must stop there needs the glucose limiter.
    """
    return jax.nn.sigmoid(steepness * (glucose - half_glucose))


def crowding(total_density: Scalar, carrying_capacity: Scalar) -> jax.Array:
    """Share of free room for cells to divide into (logistic growth).

    f = max(1 - rho/rho_max, 0).

    Symbols: `total_density` rho of all cells, `carrying_capacity` rho_max, cells/mm3. Returns 0..1.
    Source: logistic growth, definition; use in the disc: assumed. Validity: rho >= 0, rho_max > 0; above capacity cells
    neither divide nor die from crowding.
    """
    return non_negative(1.0 - total_density / carrying_capacity)


def transduced_fraction(genomes_per_cell: Scalar, efficiency: Scalar) -> jax.Array:
    """Share of cells that carry at least one working vector genome.

    tau = 1 - exp(-eps U).

    Symbols: `genomes_per_cell` U, mean internalised vector genomes per cell (-); `efficiency` eps, working share of the
    genomes for a serotype (-). Returns 0..1, exactly zero at U = 0.
    Source: Poisson statistics of independent uptake; use here: assumed. Anchor: scAAV6/2/3 transduce 98.6/91.5/89.6 %
    of human nucleus cells, Mern 2015, measured. Validity: U >= 0, 0 <= eps <= 1.
    """
    return 1.0 - jnp.exp(-efficiency * genomes_per_cell)
