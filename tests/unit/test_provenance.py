"""What a result says about its code, environment and experiment, and its parameter table."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from discsim.disc.disc import Disc
from discsim.problem.problem import YEAR
from discsim.problem.record import ArmRecord
from discsim.problem.status import Status
from discsim.scenario.scenario import Scenario
from discsim.scenario.therapy import GeneTherapy, StemCellInjection
from discsim.study import provenance
from discsim.study.parameter_table import ORIGINS
from discsim.study.result import Result
from discsim.study.study import Study


@pytest.fixture
def result(therapy_study: Study, good_records: list[ArmRecord]) -> Result:
    return Result.from_records(therapy_study, good_records)


def test_provenance(result: Result, therapy_study: Study) -> None:
    attributes = result.tree.attrs
    assert attributes["Conventions"].startswith("CF-")
    assert attributes["title"] == therapy_study.title
    assert result.config == therapy_study.resolved
    assert attributes["discsim_config_hash"] == hashlib.sha256(therapy_study.resolved.encode()).hexdigest()
    assert attributes["discsim_schema"] == "discsim/1"
    assert attributes["date_created"].endswith("Z")
    assert attributes["date_created"] in attributes["history"]
    assert attributes["creator"].startswith("discsim ")
    environment = json.loads(attributes["discsim_environment"])
    assert environment["versions"]["numpy"] == np.__version__
    assert environment["versions"]["xarray"] == xr.__version__
    assert environment["machine"] == os.uname().machine
    lock = Path(__file__).resolve().parents[2] / "requirements.lock"
    assert attributes["discsim_lock_hash"] == hashlib.sha256(lock.read_bytes()).hexdigest()


def test_provenance_names_no_host_and_no_folder(result: Result) -> None:
    text = " ".join(str(value) for value in result.tree.attrs.values())
    assert os.uname().nodename not in text.split()
    assert str(Path(__file__).resolve().parents[2]) not in text
    assert str(Path.home()) + "/" not in text


def test_hash_of_a_study_built_in_python_follows_its_numbers(therapy_study: Study, good_records: list[ArmRecord]) -> None:
    def config_hash(dose: str, at: str = "0 day") -> str:
        cells = therapy_study.scenarios["untreated"].with_therapy(StemCellInjection(dose=dose, at=at))
        scenarios = dict(therapy_study.scenarios) | {"cells": cells}
        study = replace(therapy_study, scenarios=scenarios, resolved="")
        return str(Result.from_records(study, good_records).tree.attrs["discsim_config_hash"])

    assert config_hash("6e6 cell") == config_hash("6000000 cell")
    assert len({config_hash("6e6 cell"), config_hash("7e6 cell"), config_hash("6e6 cell", "1 day")}) == 3


def rows(result: Result, scenario: str, path: str) -> list[dict[str, object]]:
    table = result.parameters.to_dataframe()
    return table[(table.scenario == scenario) & (table.path == path)].to_dict("records")


def test_parameter_table_tells_where_a_number_comes_from() -> None:
    disc = Disc.preset("L4-L5", grade=3, mesh_level=1)
    base = Scenario(disc).with_parameters({"nutrition.demand_factor": "1.5", "nutrition.supply": "diffusion"})
    base = base.with_event("2 year", {"nutrition.endplate_clearance": "5e-5 mm/s"})
    cells = base.with_therapy(StemCellInjection(carrier="saline"))
    records = [ArmRecord("untreated", status=Status.PENDING), ArmRecord("cells", status=Status.PENDING)]
    result = Result.from_records(Study({"untreated": base, "cells": cells}), records)

    (loss,) = rows(result, "cells", "matrix_turnover.gag_loss_rate.NP")
    assert (loss["value"], loss["unit"], loss["origin"], loss["evidence"]) == (
        pytest.approx(0.084), "1/year", "grade", "measured",
    )  # fmt: skip
    assert str(loss["source"]).startswith("Sivan 2006")
    assert (loss["lower_bound"], loss["upper_bound"]) == (pytest.approx(0.02), pytest.approx(0.25))
    (demand,) = rows(result, "cells", "nutrition.demand_factor")
    assert (demand["value"], demand["origin"], demand["evidence"]) == (1.5, "user", "assumed")
    (modulus,) = rows(result, "cells", "materials.shear_modulus.NP")
    assert (modulus["value"], modulus["origin"], modulus["evidence"]) == (pytest.approx(0.05), "grade", "assumed")
    (retained,) = rows(result, "cells", "scenarios.cells.therapy.0.retained_fraction")
    assert (retained["value"], retained["origin"]) == (0.5, "option")
    (carrier,) = rows(result, "cells", "scenarios.cells.therapy.0.carrier")
    assert carrier["choice"] == "saline" and math.isnan(float(str(carrier["value"])))
    (supply,) = rows(result, "cells", "nutrition.supply")
    assert supply["choice"] == "diffusion"
    (load,) = rows(result, "cells", "loading.effective_load")
    assert (load["value"], load["origin"]) == (pytest.approx(0.24), "derived")
    before, after = rows(result, "untreated", "nutrition.endplate_clearance")
    assert (before["value"], before["origin"], before["event"]) == (pytest.approx(1e-4), "grade", 0)
    assert (after["value"], after["origin"], after["event"]) == (pytest.approx(5e-5), "event", 1)
    assert after["since"] == 2 * YEAR
    # the mechanism of another arm's therapy is there too, as the engine saw it
    assert rows(result, "untreated", "stem_cells.conversion_rate")
    assert not rows(result, "untreated", "scenarios.untreated.therapy.0.dose")


def test_parameter_table_is_whole(result: Result, therapy_study: Study) -> None:
    table = result.parameters.to_dataframe()
    assert set(table.origin) <= set(ORIGINS)
    for arm in therapy_study.problem().arms:
        paths = set(table[table.scenario == arm.name].path)
        for path, value in arm.values.items():
            wanted = {f"{path}.{region}" for region in value} if isinstance(value, dict) else {path}
            assert wanted <= paths
    numbers = table[table.choice == ""]
    assert np.isfinite(numbers.value).all()
    assert (numbers.unit != "").all()
    assert set(numbers.evidence) == {"measured", "model", "recalled", "assumed"}
    bounded = numbers[numbers.origin != "derived"]
    assert ((bounded.lower_bound <= bounded.value * (1 + 1e-9)) & (bounded.value <= bounded.upper_bound * (1 + 1e-9))).all()


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_commit_and_changes_of_a_checkout(tmp_path: Path) -> None:
    package = tmp_path / "discsim"
    package.mkdir()
    assert provenance.checkout(package) is None
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "other"\n')
    assert provenance.checkout(package) is None
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "discsim"\nversion = "7.8.9"\n')
    assert provenance.code_state(package) == provenance.CodeState("7.8.9")
    who = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "--no-verify", "-m", "first"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    clean = provenance.code_state(package)
    assert (len(clean.commit), clean.dirty, clean.difference_hash) == (40, "no", "")
    assert str(clean) == f"discsim 7.8.9 (commit {clean.commit})"
    with (tmp_path / "pyproject.toml").open("a") as stream:
        stream.write("# more\n")
    changed = provenance.code_state(package)
    assert (changed.commit, changed.dirty, len(changed.difference_hash)) == (clean.commit, "yes", 64)
    assert str(changed).endswith(", with changes)")


def test_label_with_a_dot() -> None:
    base = Scenario(Disc.preset("L4-L5", grade=1, mesh_level=1), duration="1 year")
    study = Study({"untreated": base, "gene": base.with_therapy(GeneTherapy(transgene="TGFB1"))})
    result = Result.from_records(study, [ArmRecord("untreated"), ArmRecord("gene")])
    (effect,) = rows(result, "gene", "gene.TGFB1.synthesis_effect")
    assert (effect["value"], effect["origin"]) == (0.5, "option")
