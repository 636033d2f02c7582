"""The beginning of a sweep: what it is, written down once; from then on its folder is one of a sweep."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from discsim.problem.problem import Problem
from discsim.study.design import Design
from discsim.study.parameter_table import PARAMETERS, used_parameters
from discsim.study.provenance import now
from discsim.study.shards import inputs_dataset
from discsim.study.store import write_text_file, write_tree
from discsim.study.study import Study
from discsim.study.sweep_folder import NOMINAL_FILE, STUDY_FILE, Manifest, about, design_table
from discsim.study.tree import parameters_dataset, root_dataset


def begin_sweep(
    folder: Path,
    study: Study,
    config: str,
    problem: Problem,
    design: Design,
    identity: Mapping[str, Any],
    steps: Sequence[float],
    parent: Mapping[str, Any],
) -> Manifest:
    """Write experiment, nominal study with the whole design, and manifest. ``problem``: the nominal one; ``steps``: step list, s;
    ``parent``: the sweep that this one branched from (see ``sweep_branch``), empty where it did from none."""
    nominal = root_dataset(study, problem, rows := used_parameters(study.scenarios, problem))
    manifest = Manifest(
        identity,
        title=str(nominal.attrs["title"]),
        created=now(),
        steps=tuple(steps),
        table_times=tuple(json.loads(nominal.attrs["discsim_table_times"])),
        scenarios=tuple(study.scenarios),
        readouts=tuple(readout.name for readout in problem.readouts),
        mesh_hashes=tuple(dict.fromkeys(arm.mesh.hash for arm in problem.arms)),
        design=design_table(design.kind, design.seed, design.inputs, design.count),
        config_hash=str(nominal.attrs["discsim_config_hash"]),
        check={},
        about=about(),
        parent=parent,
    )
    nominal.attrs["discsim_engine"] = identity["engine"]
    if parent:
        nominal.attrs["discsim_parents"] = json.dumps([parent])
    root = inputs_dataset(design.inputs, range(design.count)).assign_attrs(nominal.attrs)
    tree = xr.DataTree.from_dict({"/": root, f"/{PARAMETERS}": parameters_dataset(rows)}, name=None)
    write_text_file(folder / STUDY_FILE, config)
    write_tree(tree, folder / NOMINAL_FILE, overwrite=True)
    manifest.save(folder)
    return manifest
