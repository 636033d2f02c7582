"""What a sweep has found so far, from the shards that are there: as a tree of all samples, and as an ensemble of arrays."""

from __future__ import annotations

import collections
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from discsim.study.ensemble import Ensemble, Floats
from discsim.study.parameter_table import PARAMETERS
from discsim.study.shards import INPUT, ShardSummary, latest, read_shard, shard_paths, summarise
from discsim.study.store import ResultError
from discsim.study.stored_shape import read_nominal
from discsim.study.sweep_folder import SHARDS, Manifest, load_manifest, swept_inputs
from discsim.study.tree import ENGINE, bar_name

GOOD = ("ok", "ok_retried")
_Part = tuple[xr.Dataset, np.ndarray]


def open_sweep(folder: str | os.PathLike[str]) -> xr.DataTree:
    """All samples of a sweep that are computed, in the order of their numbers; works while the sweep runs.

    Swept inputs lie at the root along ``sample``; every scenario has a node with readouts, ledger, status and attempts, and
    below it ``steps`` with its counts. Of a sample that was retried the last run counts. Raises ``ResultError``, which names the
    file, for a damaged shard, and where no batch is finished yet.
    """
    place = Path(folder)
    manifest = load_manifest(place)
    trees = [read_shard(path, manifest.sweep) for path in _shards(place)]
    rows = _counting_rows([tree.coords["sample"].values for tree in trees])
    nominal = read_nominal(place)
    nodes = {"/": _joined([(tree.to_dataset(), kept) for tree, kept in zip(trees, rows, strict=True)])}
    nodes["/"] = nodes["/"].assign_attrs(nominal.attrs)
    for name in manifest.scenarios:
        for node in (name, f"{name}/steps"):
            parts = [(tree[node].to_dataset(), kept) for tree, kept in zip(trees, rows, strict=True)]
            nodes[f"/{node}"] = _joined(parts)
    nodes[f"/{PARAMETERS}"] = nominal.children[PARAMETERS].to_dataset(inherit=False)
    return xr.DataTree.from_dict(nodes, name=None)


def open_ensemble(folder: str | os.PathLike[str]) -> Ensemble:
    """The sweep as arrays at the times of the study's table; numbers of a sample count where its status is good.

    Of every shard only that is kept, so that a sweep of hundreds of thousands of runs can be looked at. Raises ``ResultError``
    like ``open_sweep``.
    """
    place = Path(folder)
    manifest = load_manifest(place)
    read_nominal(place)  # nothing of it is needed, but damage is told by whatever looks at the sweep
    roots: list[xr.Dataset] = []
    tables: dict[str, list[xr.Dataset]] = {name: [] for name in manifest.scenarios}
    for path in _shards(place):
        tree = read_shard(path, manifest.sweep)
        roots.append(tree.to_dataset())
        for name, found in tables.items():
            found.append(_of_table(tree.children[name].to_dataset(), manifest))
    rows = _counting_rows([root["sample"].values for root in roots])
    root = _joined(list(zip(roots, rows, strict=True)))
    arms = {name: _joined(list(zip(found, rows, strict=True))) for name, found in tables.items()}
    first = arms[manifest.scenarios[0]]
    values: dict[str, dict[str, Floats]] = {}
    for name, arm in arms.items():
        good = np.isin(arm["status"].values, GOOD)[:, None]
        values[name] = {readout: np.where(good, arm[readout].values, np.nan) for readout in manifest.readouts}
    inputs = [variable.values for name, variable in root.data_vars.items() if str(name).startswith(INPUT)]
    return Ensemble(
        title=manifest.title,
        design_kind=str(manifest.design["kind"]),
        seed=manifest.design["seed"],
        numbers=root["sample"].values,
        times=np.array(manifest.table_times),
        values=values,
        units={readout: str(first[readout].attrs["discsim_unit"]) for readout in manifest.readouts},
        digits={readout: int(first[readout].attrs["digits"]) for readout in manifest.readouts},
        status={name: arm["status"].values for name, arm in arms.items()},
        reasons={name: arm["failure_reason"].values for name, arm in arms.items()},
        inputs=swept_inputs(manifest, inputs),
        bars=_bars(arms, manifest.readouts),
        engine=_engines(arms),
    )


def _shards(folder: Path) -> list[Path]:
    """The shards of a sweep; raises ``ResultError`` where there is none."""
    found = shard_paths(folder / SHARDS)
    if not found:
        raise ResultError(f"{folder}: no batch of this sweep is finished yet; discsim status shows how far it is")
    return found


def _barred(readouts: Sequence[str]) -> dict[str, str]:
    """By readout the name of its bar, but for those that a readout of that name hides."""
    return {readout: bar_name(readout) for readout in readouts if bar_name(readout) not in readouts}


def _of_table(arm: xr.Dataset, manifest: Manifest) -> xr.Dataset:
    """Readouts and bars of a scenario at the times of the table, status, reason and engine.

    A sample with bars at some time vouches for nothing where it has none: infinite there; without any it stays NaN.
    """
    columns = _columns(arm["time"].values, manifest.table_times)
    bars = [bar for bar in _barred(manifest.readouts).values() if bar in arm]
    wanted = [name for name in (*manifest.readouts, *bars, "status", "failure_reason", ENGINE) if name in arm]
    found = arm[wanted].isel(time=columns)
    for bar in bars:
        some = ~np.isnan(arm[bar].values).all(axis=1, keepdims=True)
        found[bar] = found[bar].copy(data=np.where(some & np.isnan(found[bar].values), np.inf, found[bar].values))
    return found


def _bars(arms: Mapping[str, xr.Dataset], readouts: Sequence[str]) -> dict[str, dict[str, Floats]]:
    """Half-widths of error of every readout of every scenario; nothing where no sample has any. Without one (NaN): 0."""
    present = _barred(readouts)
    if not any(bar in arm for arm in arms.values() for bar in present.values()):
        return {}
    found: dict[str, dict[str, Floats]] = {}
    for name, arm in arms.items():
        good = np.isin(arm["status"].values, GOOD)[:, None]
        found[name] = {readout: np.zeros_like(arm[readout].values) for readout in readouts}
        for readout, bar in present.items():
            if bar in arm:
                found[name][readout] = np.where(good & ~np.isnan(arm[bar].values), arm[bar].values, 0.0)
    return found


def _engines(arms: Mapping[str, xr.Dataset]) -> dict[str, np.ndarray]:
    """By scenario which engine computed each sample; nothing where no sample says so."""
    if not any(ENGINE in arm for arm in arms.values()):
        return {}
    return {
        name: arm[ENGINE].values.astype(np.str_) if ENGINE in arm else np.full(arm["status"].size, "")
        for name, arm in arms.items()
    }


def core_seconds(folder: str | os.PathLike[str]) -> float:
    """Wall time (s) of all runs that count, one after the other; runs that do not tell theirs are left out."""
    tree = open_sweep(folder)
    scenarios = load_manifest(Path(folder)).scenarios
    return float(sum(tree[f"{name}/steps"].to_dataset()["seconds"].sum(skipna=True) for name in scenarios))


def sweep_counts(folder: Path, manifest: Manifest) -> dict[int, ShardSummary]:
    """By sample the shard that counts, without reading any numbers."""
    return latest(summarise(path, manifest.sweep) for path in shard_paths(folder / SHARDS))


def sweep_engines(counts: Mapping[int, ShardSummary]) -> dict[str, int]:
    """How many of these samples each engine computed, the busiest first; nothing where no shard says so."""
    told = {summary.path: summary.engine_of() for summary in counts.values()}
    words = (told[summary.path].get(sample) for sample, summary in counts.items())
    return dict(collections.Counter(word for word in words if word).most_common())


def _counting_rows(samples: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Of every shard the rows that no later shard replaces."""
    owner = {int(number): shard for shard, numbers in enumerate(samples) for number in numbers}
    return [
        np.array([row for row, number in enumerate(numbers) if owner[int(number)] == shard], dtype=np.int64)
        for shard, numbers in enumerate(samples)
    ]


def _joined(parts: Sequence[_Part]) -> xr.Dataset:
    """Rows of several data sets along ``sample``, ordered by their numbers.

    A variable that one lacks is missing there: NaN, or an empty text.
    """
    numbers = np.concatenate([dataset["sample"].values[rows] for dataset, rows in parts])
    order = np.argsort(numbers)
    first = parts[0][0]
    coordinates = {str(name): variable.variable for name, variable in first.coords.items() if "sample" not in variable.dims}
    coordinates["sample"] = xr.Variable(("sample",), numbers[order], first["sample"].attrs)
    variables = {}
    for name in dict.fromkeys(name for dataset, _ in parts for name in dataset.data_vars):
        template = next(dataset[name] for dataset, _ in parts if name in dataset)
        columns = [dataset[name].values[rows] if name in dataset else _absent(template, len(rows)) for dataset, rows in parts]
        variables[name] = xr.Variable(template.dims, np.concatenate(columns)[order], template.attrs)
    return xr.Dataset(variables, coordinates, first.attrs)


def _absent(template: xr.DataArray, rows: int) -> np.ndarray:
    """Rows of a variable that is not there."""
    return np.full((rows, *template.shape[1:]), "" if template.dtype.kind in "OSU" else np.nan)


def _columns(times: np.ndarray, wanted: Sequence[float]) -> list[int]:
    found = []
    for time in wanted:
        hits = np.flatnonzero(np.isclose(times, time, rtol=1e-9, atol=1e-3))
        if not hits.size:
            raise ResultError(f"no step of the sweep ends at {time:g} s, a time of the study's table")
        found.append(int(hits[-1]))
    return found
