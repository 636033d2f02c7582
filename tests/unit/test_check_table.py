"""[check] in an experiment file: the readout by which samples are chosen."""

from __future__ import annotations

import pytest

from discsim.study.config import ConfigError, study_from_text

TEXT = """
schema = "discsim/1"
duration = "1 year"

[disc]
mesh_level = 1

[scenarios.untreated]

[readouts]
use = ["viable_cells", "oxygen_min", "gag_nucleus"]

[check]
samples = 4
"""


def test_readout_is_kept_and_written_out() -> None:
    study = study_from_text(TEXT, ["check.readout=gag_nucleus"])
    assert study.check["readout"] == "gag_nucleus"
    assert study_from_text(study.resolved).check == study.check
    assert "readout" not in study_from_text(TEXT).check


@pytest.mark.parametrize("name", ["oxygen_min", "gag_disc", "nonsense"])
def test_a_readout_without_a_direction_or_not_in_use_is_refused(name: str) -> None:
    with pytest.raises(ConfigError) as refused:
        study_from_text(TEXT, [f"check.readout={name}"])
    (line,) = [line for line in str(refused.value).splitlines() if "check.readout" in line]
    assert name in line and "viable_cells" in line and "gag_nucleus" in line
