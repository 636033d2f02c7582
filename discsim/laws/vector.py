"""Delay between arrival of a vector genome and expression of its product.

Uptake, promoters and neutralisation need no law of their own: `transduced_fraction`, `michaelis_menten` and `hill` of
`discsim.laws.response` serve.
"""

from discsim.laws.guards import Scalar


def lag_stage_rate(upstream: Scalar, stage: Scalar, onset_time: Scalar, stages: Scalar) -> Scalar:
    """Rate of one stage in the chain that delays expression (linear chain for a lag t_on).

    dE_i/dt = (n / t_on)(E_(i-1) - E_i), E_0 the transduced fraction times the promoter drive.

    Symbols: `upstream` E_(i-1), `stage` E_i (-); `onset_time` t_on, any unit of time; `stages` n (-). Returns 1 per
    that unit. The mean delay of the whole chain is t_on, its spread t_on/sqrt(n); a steady input passes unchanged.
    Source: linear chain in place of a fixed lag, assumed; onset 14 / 4 / 2 / 3 days for ssAAV / scAAV / adenovirus /
    lentivirus, assumed. Validity: t_on > 0, n >= 1.
    """
    return (upstream - stage) * stages / onset_time
