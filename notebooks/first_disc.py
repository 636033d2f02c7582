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
# # A first disc: cells, genes, both, or neither?
#
# A grade III L4-L5 disc on the coarse mesh, two years, four arms. Everything is a number with a unit; the same study as a file is
# `experiments/cells_vs_gene/study.toml`.

# %%
import discsim as ds

disc = ds.Disc.preset("L4-L5", grade=3, mesh_level=1)
base = ds.Scenario(disc, duration="2 year")
cells = base.with_therapy(ds.StemCellInjection(dose="6e6 cell", volume="2 mL", carrier="hyaluronic_acid"))
gene = base.with_therapy(ds.GeneTherapy(vector="scAAV6", transgene="TIMP3", dose="1e11 vg"))
both = cells.with_therapy(*gene.therapies)
study = ds.Study(
    {"untreated": base, "cells": cells, "gene": gene, "both": both}, title="First disc", times=("0 year", "1 year", "2 year")
)
result = study.run(engine="fem")

# %% [markdown]
# The same table that the command line prints.

# %%
from rich.console import Console

from discsim.report.tables import print_summary

print_summary(result, Console(width=110))

# %% [markdown]
# Fields are xarray data at (cell, corner) pairs of the mesh. Where is glucose lowest at the start of each arm?

# %%
for name in result.scenario_names:
    glucose = result[name].fields.glucose
    first = glucose.isel(field_time=0)
    print(f"{name:10s} lowest {float(first.min()):.2f} {glucose.attrs['discsim_unit']}")

# %% [markdown]
# The same dose in a disc with better supply: the clearance of the endplate is a parameter like any other.

# %%
fed = cells.with_parameters({"nutrition.endplate_clearance": "3e-4 mm/s"})
better = ds.Study({"poor": cells, "better": fed}, times=("0 year", "2 year")).run()
for name in better.scenario_names:
    readouts = better[name].readouts
    print(f"{name:8s} viable cells in the nucleus after two years: {float(readouts.viable_cells_nucleus[0, -1]):.2f} million")

# %% [markdown]
# Which numbers behind this are assumed rather than measured?

# %%
from collections import Counter

print(Counter(p.evidence_of() for m in cells.all_mechanisms() for p in m.parameters().values()))
