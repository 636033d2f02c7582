"""Loss of disc cells by lack of glucose and by acid, as rates >= 0 per unit of time."""

import jax

from discsim.laws.guards import Scalar, at_most, non_negative


def starvation_death_rate(glucose: Scalar, threshold: Scalar, half_below: Scalar, maximum_rate: Scalar) -> jax.Array:
    """Rate at which cells die for want of glucose (Zhu, Jackson & Gu form).

    k = 2 alpha max(G0 - G, 0) / (max(G, 0) + K), so that d rho/dt = -k rho.

    Symbols: `glucose` G, `threshold` G0, `half_below` K, mM; `maximum_rate` alpha, per unit of time. Returns k in the
    unit of alpha. The published signed form alpha [(G-G0)/(G+K) - |G-G0|/(G+K)] equals -k.
    Source: Zhu 2012, 10.1016/j.jbiomech.2012.08.044; form and constants (alpha 1/day, G0 0.5 mM, K 0.2 mM) from
    [code] abaqusIVD; evidence: model. Validity: G >= 0, K > 0.
    Trap: alpha is not the largest rate; that is 2 alpha G0 / K (5 alpha with the constants above) at G = 0. Oxygen does
    not enter (cells survive without it as long as there is glucose: Bibby & Urban 2004, measured).
    """
    deficit = non_negative(threshold - glucose)
    return 2.0 * maximum_rate * deficit / (non_negative(glucose) + half_below)


def acid_death_rate(ph: Scalar, threshold: Scalar, rate: Scalar, width: Scalar) -> jax.Array:
    """Rate at which acid kills cells: a step at the threshold, smoothed over a finite width.

    k = rate s^2 (3 - 2 s), s = (1 + (threshold - pH)/width)/2 clipped to 0..1: zero above threshold + width.

    Symbols: `ph` pH; `threshold` pH of half the rate; `rate` k below threshold - width, per unit of time; `width` half
    width of the step in units of pH. Returns k in the unit of `rate`, added to the starvation rate.
    Source: threshold 6.78 and a hard step, [code] abaqusIVD (0.296 or 0.326 per day); evidence: model. Smoothing and
    its width: assumed. 0.10 per day = ln 2 / 7 day, derived: half of the cells alive after 7 days in acid medium,
    Baumgartner 2020, measured, the culture pH not given. Validity: width > 0.
    Trap: a logistic step has a tail that never ends; at pH 6.89 one of width 0.02 would still kill 15 % a year, which
    the published step does not. With healthy boundary levels pH stays at or above 6.78, so acid kills nothing there; it
    acts with perfusion-limited supply.
    """
    share = at_most(non_negative(0.5 + 0.5 * (threshold - ph) / width), 1.0)
    return rate * share * share * (3.0 - 2.0 * share)
