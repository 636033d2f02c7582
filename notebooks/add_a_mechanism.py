# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Add a mechanism
#
# A process that discsim does not have is one class: its parameters with units and bounds, and a function whose argument names
# say what it reads and whose keys say what it changes. No engine is edited. Here acid kills cells gradually, where the shipped
# law is a step at pH 6.78.

# %%
import matplotlib.pyplot as plt

import discsim as ds


class SlowAcidDeath(ds.Mechanism):
    """d rho/dt = -k rho / (1 + exp((pH - pH_half)/w))."""

    name = "slow_acid_death"
    k = ds.param("0.002 1/day", bounds=("0 1/day", "0.1 1/day"), source="assumed", evidence="assumed")
    ph_half = ds.param("6.8", bounds=("6.2", "7"), source="assumed", evidence="assumed")
    width = ds.param("0.05", bounds=("0.02", "0.3"), source="assumed", evidence="assumed")

    def fields(self):
        from discsim.quantities.fields import CELL_DENSITY

        return (CELL_DENSITY,)

    def rates(self, ph):
        import jax.numpy as jnp

        return {ds.loss("cell_density"): self.k / (1.0 + jnp.exp((ph - self.ph_half) / self.width))}


# %% [markdown]
# A scenario takes it like any other part, and its numbers may be changed by arm. With `k = 0` it must change nothing at all:

# %%
disc = ds.Disc.preset("L4-L5", grade=3, mesh_level=1)
base = ds.Scenario(disc, duration="1 year")
arms = {
    "without": base,
    "zero": base.with_mechanism(SlowAcidDeath(k="0 1/day")),
    "declared": base.with_mechanism(SlowAcidDeath()),
    "twice": base.with_mechanism(SlowAcidDeath(k="0.004 1/day")),
}
result = ds.Study(arms, title="Slow acid death", times=("0 year", "1 year")).run()

# %%
YEAR = 365.25 * 86400.0
figure, panel = plt.subplots(figsize=(7, 4), layout="constrained")
for name, style in zip(result.scenario_names, ("-", ":", "--", "-."), strict=True):
    times, cells = result[name].series("viable_cells_nucleus")
    panel.plot(times / YEAR, cells, style, label=name, linewidth=3 if style == ":" else 1.5)
panel.set(xlabel="time (years)", ylabel=f"viable cells in the nucleus ({result.unit('viable_cells_nucleus')})")
panel.legend()
plt.show()

# %%
end = {name: result[name].value_at("viable_cells_nucleus", YEAR) for name in result.scenario_names}
for name, value in end.items():
    print(f"{name:12s} {value:.4f} {result.unit('viable_cells_nucleus')}, {value - end['without']:+.4f} from without")
assert end["zero"] == end["without"]

# %% [markdown]
# A number in a wrong unit, or out of its bounds, is refused where it is given, in one line:

# %%
for wrong in ("0.002 mM", "3 1/day"):
    try:
        SlowAcidDeath(k=wrong)
    except ValueError as error:
        print(error)

# %% [markdown]
# For an experiment file and for sweeps the class goes into a file of its own; `discsim mechanisms new NAME` writes one, with a
# test. The page *Add a mechanism* says what else a mechanism may do.
