"""Laws that no engine could use are told before one starts; numbers that say nothing of where they come from as well."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from discsim.biology.mechanism import Composition
from discsim.biology.mechanisms import CATALOGUE
from discsim.cli import app
from discsim.quantities.parameters import ParameterError, param
from discsim.study.law_check import _diffusing, _mistakes

MODULE = """
import sys
import numpy as np
from discsim.biology.mechanism import Exchange, Mechanism, conversion, drive, local, loss
from discsim.quantities.parameters import param
{top}

class Own(Mechanism):
    name = "own"
    {regions}
    rate = param("{default}", bounds=("0 1/year", "{highest}"), source="{source}", evidence="{evidence}")

    @local
    def acid(self, ph):
        import jax.numpy as jnp

        {acid}

    def rates(self, acid, oxygen):
        return {rates}

    {more}
"""
GOOD = {
    "top": "",
    "regions": "",
    "default": "0.3 1/year",
    "highest": "2 1/year",
    "source": "my data",
    "evidence": "assumed",
    "acid": "return jnp.maximum(7.0 - ph, 0.0)",
    "rates": '{loss("cell_density"): self.rate * acid}',
    "more": "",
}
STUDY = """
schema = "discsim/1"
duration = "1 year"

[disc]
mesh_level = 1

[mechanisms]
use = ["nutrition", "cell_fate", "matrix_turnover", "own_laws:Own"]

[mechanisms.own]
rate = "0.4 1/year"

[scenarios.untreated]

[design]
kind = "list"
vary = { "own.rate" = { values = ["0.1 1/year", "0.2 1/year"] } }
"""
Call = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def call(tmp_path: Path) -> Iterator[Call]:
    """Runs a command on a file whose own mechanism differs from a good one; what comes back: exit code, lines of complaint."""

    def run(command: str = "validate", **changed: str) -> tuple[int, list[str]]:
        (tmp_path / "own_laws.py").write_text(MODULE.format(**(GOOD | changed)))
        (tmp_path / "study.toml").write_text(STUDY)
        out = [] if command == "validate" else ["-o", str(tmp_path / "out")]
        done = CliRunner().invoke(app, [command, str(tmp_path / "study.toml"), "--allow-plugin", *out])
        assert not (tmp_path / "out").exists()
        return done.exit_code, done.stderr.splitlines()

    yield run
    sys.modules.pop("own_laws", None)


def test_good_laws_pass(call: Call) -> None:
    assert call() == (0, [])


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"acid": "return 1.0 if ph < 7.0 else 0.0"}, ("own_laws:Own.acid", "branch", "jnp.where")),
        ({"acid": "return max(7.0 - ph, 0.0)"}, ("own_laws:Own.acid", "branch", "jnp.where")),
        ({"acid": "return np.maximum(7.0 - ph, 0.0)"}, ("own_laws:Own.acid", "numpy", "jnp.maximum")),
        (
            {"acid": "return jnp.maximun(7.0 - ph, 0.0)"},
            ("own_laws:Own.acid", "AttributeError", "(own_laws.py, line 17)"),
        ),
        ({"acid": "7.0 - ph"}, ("own_laws:Own.acid", "None", "return the value")),
        ({"rates": '{loss("cel_density"): acid}'}, ("own_laws:Own.rates", "cel_density", "no such field", "cell_density")),
        ({"rates": '{"gagg": acid}'}, ("own_laws:Own.rates", "gagg", "no such field")),
        ({"rates": '{conversion("cell_density", into="tell"): acid}'}, ("own_laws:Own.rates", "tell", "no such field")),
        ({"rates": "acid"}, ("own_laws:Own.rates", "a table of fields")),
        ({"rates": '{"gag": jnp.zeros(3) * acid}', "top": "import jax.numpy as jnp"}, ("own_laws:Own.rates", "one number")),
        (
            {"more": "def boundaries(self):\n        return {'glucose': {'roof': Exchange(1.0, 1.0)}}"},
            ("boundaries", "roof", "rim"),
        ),
        ({"more": "def diffusivities(self, ph):\n        return {'glucos': ph}"}, ("diffusivities", "glucos", "glucose")),
        ({"regions": 'regions = ("XX",)'}, ("regions", "'XX'", "NP, inner_AF, outer_AF, CEP")),
        ({"regions": "regions = ()"}, ("regions", "nothing", "NP, inner_AF, outer_AF, CEP")),
        ({"top": "sys.exit(0)"}, ("own_laws:Own", "SystemExit")),
        ({"evidence": "guess"}, ("own_laws:Own", "'guess'", "measured, model, recalled, assumed")),
        ({"top": "raise RuntimeError('boom')"}, ("own_laws:Own", "boom", "(own_laws.py, line 6)")),
        ({"default": "0.3 parsec/year"}, ("own_laws:Own", "own.rate: bounds and default differ in kind")),
        ({"highest": "2 MPa"}, ("own_laws:Own", "own.rate: bounds and default differ in kind")),
        ({"default": "3 1/year"}, ("own_laws:Own", "own.rate", "outside its bounds 0 1/year to 2 1/year")),
        ({"source": " "}, ("own_laws:Own", "source is empty", "(own_laws.py, line 11)")),
    ],
)
def test_a_law_that_no_engine_can_use_is_one_line(call: Call, changed: dict[str, str], words: tuple[str, ...]) -> None:
    code, lines = call(**changed)
    assert code == 2 and len(lines) == 1, lines
    assert all(word in lines[0] for word in words), lines


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {"rates": '{loss("cell_density"): -self.rate * acid}', "acid": "return 8.0 - ph"},
            ("a loss of cell_density of -", "0 or more"),
        ),
        (
            {"rates": '{"gag": acid}', "acid": "return jnp.log(ph - 20.0)"},
            ("a rate of gag of nan in NP at the start", "a number"),
        ),
        ({"rates": '{"gag": 1e-9 / (acid - acid)}'}, ("a rate of gag of inf", "a number")),
        (
            {"rates": '{"oxygen": jnp.sqrt(oxygen - 1.0)}', "top": "import jax.numpy as jnp"},
            ("a rate of oxygen of nan", "without nutrients"),
        ),
    ],
)
def test_rates_that_no_disc_can_have_are_told(call: Call, changed: dict[str, str], words: tuple[str, ...]) -> None:
    """An engine would end without convergence, or let cells grow by a loss."""
    code, lines = call(**changed)
    assert code == 2 and len(lines) == 1 and "own_laws:Own.rates" in lines[0], lines
    assert all(word in lines[0] for word in words), lines


@pytest.mark.parametrize("command", ["run", "sweep"])
def test_run_and_sweep_say_so_before_any_engine(call: Call, command: str) -> None:
    code, lines = call(command, acid="return 1.0 if ph < 7.0 else 0.0")
    assert code == 2 and len(lines) == 1 and "own_laws:Own.acid" in lines[0]


def test_evidence_words_are_checked_where_they_are_declared() -> None:
    given = {"bounds": ("0", "1"), "source": "none"}
    with pytest.raises(ParameterError, match="'guess' is none of measured, model, recalled, assumed"):
        param("0.5", evidence="guess", **given)  # type: ignore[arg-type]
    regional = {"NP": "0.5", "CEP": "0.5"}
    with pytest.raises(ParameterError, match="'known'"):
        param(regional, evidence={"NP": "measured", "CEP": "known"}, **given)  # type: ignore[arg-type]
    for word in ("measured", "model", "recalled", "assumed"):
        param("0.5", evidence=word, **given)  # type: ignore[arg-type]


def test_laws_that_ship_pass() -> None:
    """They are not traced at every command, so they are here."""
    composition = Composition([cls() for cls in CATALOGUE.values()])
    assert [mistake for mechanism in composition.mechanisms for mistake in _mistakes(composition, mechanism)] == []
    assert _diffusing(composition) == set(composition.of_kind("solute", "signal"))
