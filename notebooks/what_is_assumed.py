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
# # What is assumed
#
# Every number of the model bears an evidence word: *measured*, *model* (of a published model or its code), *recalled* (from a
# source not read again) or *assumed*. This story counts them, names the assumed ones that act on some arms only, and moves
# three of them.

# %%
from collections import Counter

import matplotlib.pyplot as plt

import discsim as ds
from discsim.study.catalogue import declared_parameters

WORDS = ("measured", "model", "recalled", "assumed")
rows = list(declared_parameters(grade=3))
counts = {}
for row in rows:
    counts.setdefault(row.path.partition(".")[0], Counter())[row.evidence] += 1
figure, panel = plt.subplots(figsize=(8, 4), layout="constrained")
left = [0] * len(counts)
for word, colour, hatch in zip(WORDS, ("#1b4965", "#5fa8d3", "#cae9ff", "#f4a259"), ("", "", "", "//"), strict=True):
    widths = [count[word] for count in counts.values()]
    panel.barh(list(counts), widths, left=left, color=colour, hatch=hatch, edgecolor="white", label=word)
    left = [a + b for a, b in zip(left, widths, strict=True)]
panel.invert_yaxis()
panel.set(xlabel="declared numbers, one per region (count)")
panel.legend()
plt.show()
assert sum(left) == len(rows)

# %%
total = Counter(row.evidence for row in rows)
print(", ".join(f"{word}: {total[word]} of {len(rows)}" for word in WORDS))

# %% [markdown]
# An assumed number that acts on all arms alike shifts them together. One that acts on some arms only may decide their order. A
# result knows which those are:

# %%
disc = ds.Disc.preset("L4-L5", grade=3, mesh_level=1)
base = ds.Scenario(disc, duration="1 year")


def with_cells(**numbers):
    return base.with_therapy(ds.StemCellInjection(dose="6e6 cell", carrier="hyaluronic_acid", **numbers))


def with_gene(**numbers):
    return base.with_therapy(ds.GeneTherapy(vector="scAAV6", transgene="TIMP3", dose="1e11 vg", **numbers))


arms = {"untreated": base, "cells": with_cells(), "gene": with_gene()}

# %% [markdown]
# Three of them, each moved to the ends of its declared bounds while all else stays:

# %%
moved = {
    "stem_cells.np_like_gag_synthesis": (with_cells, "cells"),
    "stem_cells.np_like_demand": (with_cells, "cells"),
    "gene_expression.loss_effect": (with_gene, "gene"),
}
declared = {row.path: row for row in rows}
for path, (therapy, _) in moved.items():
    key, row = path.partition(".")[2], declared[path]
    assert row.evidence == "assumed"
    for end, number in (("low", row.low), ("high", row.high)):
        arms[f"{key}_{end}"] = therapy(**{key: f"{number} {row.unit}"})
result = ds.Study(arms, title="What is assumed", times=("0 year", "1 year")).run()
for assumption in result.partial_assumptions[:5]:
    print(f"{assumption.path}: acts on {len(assumption.arms)} of {len(arms)} arms; {assumption.source}")
print(f"and {len(result.partial_assumptions) - 5} more")

# %%
YEAR = 365.25 * 86400.0
gag = {name: result[name].value_at("gag_nucleus", YEAR) for name in result.scenario_names}
figure, panel = plt.subplots(figsize=(8, 3.2), layout="constrained")
for path, (_, arm) in moved.items():
    low, high = (gag[f"{path.partition('.')[2]}_{end}"] - gag["untreated"] for end in ("low", "high"))
    row = declared[path]
    line = path if row.unit == "dimensionless" else f"{path}\n({row.unit})"
    panel.plot([low, high], [line, line], color="0.5", linewidth=4, solid_capstyle="butt")
    for value, number in ((low, row.low), (high, row.high)):
        panel.annotate(f"{number:g}", (value, line), xytext=(0, 8), textcoords="offset points", ha="center", fontsize=8)
    panel.plot(gag[arm] - gag["untreated"], line, "o", color="#b3541e")
panel.axvline(0.0, color="black", linewidth=0.8)
panel.margins(x=0.1, y=0.3)
panel.invert_yaxis()
unit = result.unit("gag_nucleus")
panel.set(xlabel=f"GAG in the nucleus after a year, less untreated ({unit})\ndot: the default; small figures: the bounds")
plt.show()

# %%
for name, value in gag.items():
    print(f"{name:42s} {value - gag['untreated']:+.2f} {result.unit('gag_nucleus')}")

# %% [markdown]
# Bounds are no intervals of confidence: they say where a number may lie, and an assumed number has assumed bounds. Where a bar
# crosses zero or the dot of another therapy, the order hangs on that number; the sweep says in how many discs it does.
