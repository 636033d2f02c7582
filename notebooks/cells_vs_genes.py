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
# # Cells or genes, and does the supply decide?
#
# The same two therapies in two discs of grade III that differ in one number: the clearance of the endplate, through which
# glucose comes in and acid leaves. Two years on the coarse mesh, so values are rough; the order is what this story is about.
# Most numbers of the therapies are assumed: this compares consequences of assumptions and predicts no trial.

# %%
import matplotlib.pyplot as plt

import discsim as ds

disc = ds.Disc.preset("L4-L5", grade=3, mesh_level=1)
base = ds.Scenario(disc, duration="2 year")
cells = ds.StemCellInjection(dose="6e6 cell", volume="2 mL", carrier="hyaluronic_acid")
gene = ds.GeneTherapy(vector="scAAV6", transgene="TIMP3", dose="1e11 vg")
supplies = {"poor": "4e-5 mm/s", "rich": "3e-4 mm/s"}

arms = {}
for supply, clearance in supplies.items():
    untreated = base.with_parameters({"nutrition.endplate_clearance": clearance})
    arms[f"{supply}_untreated"] = untreated
    arms[f"{supply}_cells"] = untreated.with_therapy(cells)
    arms[f"{supply}_gene"] = untreated.with_therapy(gene)
result = ds.Study(arms, title="Cells or genes", times=("0 year", "1 year", "2 year")).run()
print({name: str(result[name].status) for name in result.scenario_names})

# %% [markdown]
# A status stands beside every arm; numbers of one that is not `ok` would end early. What each therapy changes, against the
# untreated disc of the same supply:

# %%
YEAR = 365.25 * 86400.0
readouts = ("viable_cells_nucleus", "gag_nucleus")
figure, panels = plt.subplots(len(readouts), len(supplies), figsize=(9, 5.5), sharex=True, sharey="row", layout="constrained")
for row, readout in zip(panels, readouts, strict=True):
    for panel, supply in zip(row, supplies, strict=True):
        _, without = result[f"{supply}_untreated"].series(readout)
        for therapy, style in (("cells", "-"), ("gene", "--")):
            times, values = result[f"{supply}_{therapy}"].series(readout)
            panel.plot(times / YEAR, values - without, style, label=therapy)
        panel.axhline(0.0, color="0.6", linewidth=0.8)
    row[0].set_ylabel(f"{readout.replace('_', ' ')}\nless untreated ({result.unit(readout)})")
for panel, (supply, clearance) in zip(panels[0], supplies.items(), strict=True):
    panel.set_title(f"{supply} supply, {clearance}")
for panel in panels[-1]:
    panel.set_xlabel("time (years)")
panels[0, 0].legend()
plt.show()

# %% [markdown]
# All arms of a study follow one list of steps, so that differences are taken at equal times. The last point of each curve, in
# numbers, and which therapy holds more matrix:

# %%
for supply in supplies:
    last = {name: result[f"{supply}_{name}"].value_at("gag_nucleus", 2 * YEAR) for name in ("untreated", "cells", "gene")}
    print(f"{supply}: " + ", ".join(f"{name} {value:.1f} {result.unit('gag_nucleus')}" for name, value in last.items()))
    print(f"    most GAG in the nucleus after two years: {max(last, key=last.get)}")

# %% [markdown]
# Why? Injected cells eat. The lowest glucose of the disc and its lowest pH, at the start and after a year:

# %%
units = {"glucose_min": result.unit("glucose_min"), "ph_min": "(pH)"}
for name in result.scenario_names:
    for readout in ("glucose_min", "ph_min"):
        values = [result[name].value_at(readout, year * YEAR) for year in (0, 1)]
        print(f"{name:16s} {readout:12s} {values[0]:.3f} -> {values[1]:.3f} {units[readout]}")

# %% [markdown]
# Two discs are no verdict. The sweep of `experiments/cells_vs_gene/study.toml` draws 256 of them.
