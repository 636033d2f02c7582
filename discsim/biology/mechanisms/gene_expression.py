"""Gene therapy: vector uptake, transduction, expression with lag, a secreted product and its effect on a drive."""

from __future__ import annotations

from typing import Any

from discsim.biology.mechanism import Exchange, Mechanism, drive, local, loss
from discsim.quantities.fields import Field
from discsim.quantities.parameters import param

_MERN = (
    "calibrated: gives the transduction of human NP cells in Mern 2015 10.1186/s12891-015-0799-4 two days after an assumed "
    "10,000 vg per cell (vv case transduction)"
)


class GeneExpression(Mechanism):
    """Free vector V is taken up (W), transduces native cells, and these secrete a product X.

    dV/dt = div(D_V grad V) - k_u rho V - k_v V;  dW/dt = k_u rho V - (k_s + death) W;  U = W/rho genomes per cell;
    tau = 1 - exp(-eps U);  dM/dt = (2/t_on)(tau - M);  dE/dt = (2/t_on)(M - E): a two-stage lag with mean t_on;
    dX/dt = div(D_X grad X) + rho sigma E - k_X X, leaving through endplate and rim with one clearance;
    the product acts through drives by X/(X + X_half): less loss (TIMP-3), more synthesis (TGF-beta1).
    Silencing and death remove active genomes, so expression fades for good. All terms vanish without vector.
    """

    name = "gene_expression"
    reference = "structure of therapies 1.9; numbers marked assumed are not from literature"
    options = {
        "vector": {
            "scAAV6": {"transduction_efficiency": "4.714e-4 cell/vg", "onset": "4 day"},
            "scAAV2": {"transduction_efficiency": "2.722e-4 cell/vg", "onset": "4 day"},
            "scAAV3": {"transduction_efficiency": "2.499e-4 cell/vg", "onset": "4 day"},
        },
        "transgene": {
            "TIMP3": {"loss_effect": "0.30", "synthesis_effect": "0", "secretion": "0.05 pg/cell/day", "half_effect": "20 ng/mL"},
            "TGFB1": {
                "loss_effect": "0.25",
                "synthesis_effect": "0.5",
                "secretion": "0.001 pg/cell/day",
                "half_effect": "2 ng/mL",
            },
        },
    }

    uptake_rate = param(
        "5e-9 mm^3/cell/s",
        bounds=("5e-10 mm^3/cell/s", "5e-8 mm^3/cell/s"),
        source="assumed: uptake within about a day at NP density",
        evidence="assumed",
        description="uptake of free vector per cell",
    )
    vector_half_life = param(
        "7 day",
        bounds=("1 day", "60 day"),
        source="assumed",
        evidence="assumed",
        description="half-life of free vector in tissue",
    )
    vector_diffusivity = param(
        "1.6e-6 mm^2/s",
        bounds=("3.5e-8 mm^2/s", "1.6e-5 mm^2/s"),
        source="derived: Ogston, degenerate nucleus (therapies 1.9); healthy 3.5e-7",
        evidence="model",
        description="diffusivity of free vector",
    )
    transduction_efficiency = param(
        "4.714e-4 cell/vg",
        bounds=("1e-6 cell/vg", "1e-2 cell/vg"),
        source=_MERN,
        evidence="assumed",
        description="eps in tau = 1 - exp(-eps U)",
    )
    onset = param(
        "4 day",
        bounds=("1 day", "28 day"),
        source="assumed (therapies 1.9): scAAV",
        evidence="assumed",
        description="mean lag from uptake to product",
    )
    silencing_half_life = param(
        "5 year",
        bounds=("1 year", "30 year"),
        source="assumed; expression lasted over a year in a rat joint, PMC3139006",
        evidence="assumed",
        description="half-life of active genomes",
    )
    secretion = param(
        "0.05 pg/cell/day",
        bounds=("0.0001 pg/cell/day", "1 pg/cell/day"),
        source="assumed",
        evidence="assumed",
        internal="ng/cell/s",
        description="product secreted per fully expressing cell",
    )
    product_half_life = param(
        "1 day",
        bounds=("0.05 day", "20 day"),
        source="assumed",
        evidence="assumed",
        description="half-life of the product in tissue",
    )
    product_diffusivity = param(
        "6e-5 mm^2/s",
        bounds=("1e-5 mm^2/s", "2e-4 mm^2/s"),
        source="derived: Ogston, 25 kDa protein (therapies 2)",
        evidence="model",
        description="diffusivity of the product",
    )
    product_clearance = param(
        "1e-5 mm/s",
        bounds=("0 mm/s", "1e-3 mm/s"),
        source="assumed: endplate and rim",
        evidence="assumed",
        description="loss of the product through endplate and rim",
    )
    half_effect = param(
        "20 ng/mL",
        bounds=("0.5 ng/mL", "500 ng/mL"),
        internal="ng/mL",
        source="assumed; TIMP-3 Ki below 1 nM (Kashiwagi 2001), TGF-beta1 saturates at 10 ng/mL (Morales 1988)",
        evidence="assumed",
        description="product concentration of half effect",
    )
    loss_effect = param(
        "0.30",
        bounds=("0", "0.9"),
        source="derived: full block of the excess loss, 1 - 0.059/0.084 (Sivan 2006); size of effect in a disc assumed",
        evidence="assumed",
        description="largest relative reduction of loss",
    )
    synthesis_effect = param(
        "0",
        bounds=("0", "6"),
        source="assumed; 7-fold in cartilage culture is a ceiling (Morales 1988)",
        evidence="assumed",
        description="largest added relative synthesis",
    )

    def fields(self) -> tuple[Field, ...]:
        return (
            Field("free_vector", "V", "vg/mm^3", "signal", "free vector genomes", shared=False, scale=1e5),
            Field(
                "active_genomes", "W", "vg/mm^3", "matrix", "active vector genomes inside native cells", shared=False, scale=5e6
            ),
            Field("transcript", "M", "dimensionless", "per_cell", "first stage of expression", shared=False),
            Field("expression", "E", "dimensionless", "per_cell", "expression per native cell, 0 to 1", shared=False),
            Field("product", "X", "ng/mL", "signal", "secreted transgene product", shared=False, scale=20.0),
        )

    @local
    def transduced_fraction(self, active_genomes: Any, cell_density: Any) -> Any:
        """Share of native cells that carry an active genome."""
        from discsim.laws.response import transduced_fraction

        return transduced_fraction(active_genomes / (cell_density + 1e-6), self.transduction_efficiency)

    @drive
    def catabolic_drive(self, product: Any) -> Any:
        from discsim.laws.response import michaelis_menten

        return -self.loss_effect * michaelis_menten(product, self.half_effect)

    @drive
    def anabolic_drive(self, product: Any) -> Any:
        from discsim.laws.response import michaelis_menten

        return self.synthesis_effect * michaelis_menten(product, self.half_effect)

    def rates(
        self,
        free_vector: Any,
        transcript: Any,
        expression: Any,
        cell_density: Any,
        transduced_fraction: Any,
        native_loss_rate: Any,
    ) -> dict[str, Any]:
        import jax.numpy as jnp

        stage = 2.0 / self.onset
        uptake = self.uptake_rate * cell_density
        return {
            loss("free_vector"): uptake + jnp.log(2.0) / self.vector_half_life,
            "active_genomes": uptake * free_vector,
            loss("active_genomes"): jnp.log(2.0) / self.silencing_half_life + native_loss_rate,
            "transcript": stage * transduced_fraction,
            loss("transcript"): stage,
            "expression": stage * transcript,
            loss("expression"): stage,
            # cells/mm3 x ng/cell/s = ng/mm3/s = 1000 ng/mL/s
            "product": 1e3 * cell_density * self.secretion * expression,
            loss("product"): jnp.log(2.0) / self.product_half_life,
        }

    def diffusivities(self) -> dict[str, Any]:
        return {"free_vector": self.vector_diffusivity, "product": self.product_diffusivity}

    def boundaries(self) -> dict[str, dict[str, Any]]:
        out = Exchange(self.product_clearance, 0.0)
        return {"product": {"endplate": out, "rim": out}}
