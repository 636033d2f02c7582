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
# # A sweep, and which numbers decide
#
# One disc answers for one disc. A sweep runs every arm for many: here 40 samples of a Morris design over three numbers, half a
# year on the coarse mesh, by the command line, as on a cluster. An experiment is one file.

# %%
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

folder = Path(tempfile.mkdtemp(prefix="discsim-"))
(folder / "study.toml").write_text("""
schema = "discsim/1"
title = "Which numbers decide?"
duration = "0.5 year"

[disc]
preset = "L4-L5"
grade = 3
mesh_level = 1

[scenarios.untreated]

[[scenarios.cells.therapy]]
kind = "stem_cell_injection"
dose = "6e6 cell"

[readouts]
use = ["gag_nucleus"]

[output]
times = ["0 year", "0.5 year"]

[design]
kind = "morris"
samples = 10
seed = 7

[design.vary]
"nutrition.endplate_clearance" = { low = "4e-5 mm/s", high = "2e-3 mm/s", scale = "log" }
"matrix_turnover.gag_loss_rate" = { dist = "lognormal", median = "0.084 1/year", gsd = 1.3 }
"stem_cells.np_like_gag_synthesis" = { low = "1 pg/cell/day", high = "10 pg/cell/day", scale = "log" }
""")


def discsim(*words):
    """What the command `discsim WORDS` prints; an exit code other than 0 ends the notebook."""
    command = [sys.executable, "-m", "discsim", *map(str, words)]
    plain = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "CLICOLOR_FORCE")}
    done = subprocess.run(command, cwd=folder, env=plain, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"exit code {done.returncode}: {done.stderr}")
    return done.stdout


# %%
print(discsim("sweep", "study.toml", "--workers", 1, "--out", "sweep"))

# %% [markdown]
# The same command resumes a sweep that was interrupted. Of one that is done it computes nothing again:

# %%
print(discsim("sweep", "study.toml", "--workers", 1, "--out", "sweep"))

# %% [markdown]
# ## Which arm is better, and in how many discs
#
# These samples were chosen by the design, not drawn from a population, so the shares below are of these samples alone.

# %%
print(discsim("compare", "sweep", "--readout", "gag_nucleus", "--time", "0.5 year"))

# %% [markdown]
# ## What it depends on
#
# Morris: the mean absolute change of a readout when one number moves by half of its range. The dummy is a number that does
# nothing; what does not rise above it is not told apart from nothing.

# %%
found = json.loads(discsim("sensitivity", "sweep", "--readout", "gag_nucleus", "--time", "0.5 year", "--json"))
figure, panels = plt.subplots(1, len(found), figsize=(10, 2.8), sharey=True, layout="constrained")
names = [one["path"] for one in found[0]["inputs"]]
for panel, one in zip(panels, found, strict=True):
    effects = {line["path"]: line["indices"]["effect"] for line in one["inputs"]}
    values, low, high = (np.array([effects[name][key] for name in names]) for key in ("value", "low", "high"))
    panel.barh(names, values, xerr=(values - low, high - values), color="#5fa8d3", ecolor="0.3", capsize=3)
    panel.set(
        title=one["scenario"] + (f" less {one['against']}" if one["against"] else ""), xlabel=f"mean change ({one['unit']})"
    )
panels[0].invert_yaxis()
figure.suptitle("GAG in the nucleus after half a year; bars: 95 % intervals")
plt.show()
for one in found:
    print(f"{one['scenario']}: the dummy moves it by less than {one['floor']['effect']:.2g} {one['unit']}")

# %% [markdown]
# The loss rate of matrix decides how much an untreated disc holds, and hardly what cells add to it; what the new cells make,
# and how well the disc is fed, do. That is the use of this picture: it says which number to measure first for which question.
