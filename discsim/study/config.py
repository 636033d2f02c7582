"""The experiment file: read, checked in every respect, and turned into a study.

A file becomes a *document* first: the same tables with every default written out. The study is built of the document alone, and
its text is kept with the result, so that the text gives the same study again, whatever the defaults of a later version are.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from discsim.biology.mechanism import Composition, CompositionError, Mechanism
from discsim.biology.mechanisms import CATALOGUE, DEFAULT
from discsim.disc.disc import Geometry
from discsim.disc.material import OsmoBiphasic
from discsim.disc.presets import GRADES, LEVELS, grade_overrides
from discsim.problem.problem import matrix_gag_name, union_of_mechanisms
from discsim.quantities import units
from discsim.quantities.parameters import REGIONS, ParameterError, Parameterised
from discsim.scenario.readouts import READOUTS
from discsim.scenario.scenario import STARTS
from discsim.study.assemble import build_study
from discsim.study.design_table import MOST_SAMPLES, SAMPLED, DesignReader
from discsim.study.layers import Table, checked_table, checked_value, graded_table, layered
from discsim.study.messages import Complaints, ConfigError, Problem, Shown, key_path, shown
from discsim.study.overrides import apply_overrides
from discsim.study.paths import Owner, owner_of
from discsim.study.provenance import sha256
from discsim.study.scenario_tables import ScenarioReader
from discsim.study.schema import LOADINGS, SCHEMA, Clock, ExperimentFile, Solver, read_structure
from discsim.study.study import DEFAULT_TIMES, ENGINES
from discsim.study.therapy_tables import TherapyReader
from discsim.study.toml_text import Inline, parse_text, read_text, write_text

if TYPE_CHECKING:
    from discsim.study.study import Study

__all__ = ["ConfigError", "Problem", "content_hash", "read_study", "resolve", "study_from_text"]
MESH_LEVELS = (1, 2, 3)
_LONGEST_TITLE = 200


def read_study(path: str | os.PathLike[str], overrides: Iterable[str] = ()) -> Study:
    """The study of an experiment file; ``overrides`` are texts such as ``disc.grade=1``, checked like the file itself.

    Raises ``ConfigError`` with every mistake, one line each.
    """
    return study_from_text(read_text(path), overrides, source=str(path), folder=Path(path).parent)


def study_from_text(
    text: str, overrides: Iterable[str] = (), *, source: str = "text", folder: Path | None = None
) -> Study:
    """The study of the text of an experiment file; ``folder`` is where it may name other files."""
    raw = parse_text(text, source)
    complaints = Complaints()
    raw = apply_overrides(raw, tuple(overrides), complaints)
    version = raw.get("schema")
    if isinstance(version, str) and version != SCHEMA:  # the rest would be judged by the wrong rules
        raise ConfigError([Problem("schema", shown(version), f'"{SCHEMA}"', "this discsim reads no other")], source)
    reader = _Reader(read_structure(raw, complaints), folder, complaints)
    study = _study(reader, complaints)
    if complaints.problems or study is None:
        raise ConfigError(complaints.problems, source)
    return study


def resolve(study: Study) -> str:
    """The experiment file of a study with every default written out; a study that was built in Python has none."""
    if not study.resolved:
        raise ValueError("the study was built in Python; only a study that was read from a file has a text")
    return study.resolved


def content_hash(text: str) -> str:
    """SHA-256 of a resolved experiment file: equal for equal studies, whatever their files looked like."""
    return sha256(text)


class _Reader:
    """Reads table after table; ``document`` is the file with every default written out."""

    def __init__(self, given: ExperimentFile, folder: Path | None, complaints: Complaints) -> None:
        self.given, self.complaints = given, complaints
        self.duration = self._duration()
        disc = self._disc()
        self.overrides = grade_overrides(disc["grade"])
        loading, self.loading_kind = self._loading()
        mechanisms = self._mechanisms()
        disc |= self._geometry()
        materials = self._materials()
        scenarios = self._scenarios(mechanisms)
        self.document: dict[str, Any] = {
            "schema": self._schema(), "title": self._title(), "duration": self.duration or "10 year",
            "disc": disc, "loading": loading, "mechanisms": mechanisms, "materials": materials,
            "scenarios": scenarios.document, "readouts": {"use": self._readouts()},
            "output": self._output(), "solver": self._solver(),
        }
        if given.design is not None:
            self.document["design"] = DesignReader(given.design, scenarios.paths, folder, complaints).table
        if given.check is not None:
            self.document["check"] = self._check()

    def _schema(self) -> str:
        if self.given.version != SCHEMA:
            given = Shown("nothing") if self.given.version is None else self.given.version
            self.complaints.add("schema", given, f'"{SCHEMA}"', f'write schema = "{SCHEMA}" at the top')
        return SCHEMA

    def _title(self) -> str:
        title = self.given.title
        if not title.isprintable() or len(title) > _LONGEST_TITLE:
            self.complaints.add("title", title, f"one line of at most {_LONGEST_TITLE} characters")
        return title

    def _duration(self) -> str | None:
        """The duration; nothing where it is wrong, so that no time is judged by it."""
        if self.given.duration is None:
            return "10 year"
        found = self.complaints.value("duration", Clock.parameters()["duration"], self.given.duration)
        return None if found is None else str(found)

    def _disc(self) -> Table:
        given, complaints = self.given.disc, self.complaints
        level = complaints.choice("disc.preset", given.preset, LEVELS) or LEVELS[0]
        start = complaints.choice("disc.start", given.start, STARTS) or STARTS[0]
        for key, choices in (("grade", tuple(GRADES)), ("mesh_level", MESH_LEVELS)):
            if getattr(given, key) not in choices:
                complaints.add(f"disc.{key}", getattr(given, key), ", ".join(map(str, choices)))
        grade = given.grade if given.grade in GRADES else min(GRADES)
        mesh = given.mesh_level if given.mesh_level in MESH_LEVELS else MESH_LEVELS[0]
        return {"preset": level, "grade": grade, "mesh_level": mesh, "start": start}

    def _geometry(self) -> Table:
        given = {key: getattr(self.given.disc, key) for key in Geometry.parameters()}
        return self._laid_over_grade(Geometry, "disc", {k: v for k, v in given.items() if v is not None})

    def _laid_over_grade(
        self, cls: type[Parameterised], label: str, given: Mapping[str, Any], path: tuple[str, ...] | None = None
    ) -> Table:
        layer = checked_table(cls, given, path or (label,), self.complaints)
        return _inline(layered(cls, graded_table(cls, label, self.overrides), layer))

    def _loading(self) -> tuple[Table, str]:
        given = dict(self.given.loading)
        kind = self.complaints.choice("loading.kind", given.pop("kind", "diurnal"), tuple(LOADINGS)) or "diurnal"
        cls = LOADINGS[kind]
        layer = checked_table(cls, given, ("loading",), self.complaints, also=(), hint=f"kind is {kind}")
        return {"kind": kind} | layered(cls, graded_table(cls, "loading", self.overrides), layer), kind

    def _mechanisms(self) -> Table:
        given, complaints = self.given.mechanisms, self.complaints
        use = self._used_mechanisms(given.get("use", list(DEFAULT)))
        table: Table = {"use": use}
        for name in use:
            own = given.get(name, {})
            if not isinstance(own, dict):
                complaints.add(key_path("mechanisms", name), own, "a table")
                own = {}
            table[name] = self._laid_over_grade(CATALOGUE[name], name, own, ("mechanisms", name))
        for name in given:
            if name in DEFAULT and name not in use:
                complaints.add(key_path("mechanisms", name), given[name], ", ".join(use), "it is not in mechanisms.use")
            elif name not in (*DEFAULT, "use"):
                complaints.unknown(key_path("mechanisms", name), name, ("use", *DEFAULT), hint=_brought(name))
        return table

    def _used_mechanisms(self, given: Any) -> list[str]:
        complaints, key = self.complaints, "mechanisms.use"
        if not isinstance(given, list) or not given:
            complaints.add(key, given, f"a list of {', '.join(DEFAULT)}")
            return list(DEFAULT)
        use: list[str] = []
        for name in given:
            if isinstance(name, str) and name in CATALOGUE and name not in DEFAULT:
                complaints.add(key, name, ", ".join(DEFAULT), _brought(name))
                continue
            found = complaints.choice(key, name, DEFAULT)
            if found in use:
                complaints.add(key, name, "every mechanism once", "named twice")
            elif found is not None:
                use.append(found)
        return use or list(DEFAULT)

    def _materials(self) -> Table:
        """Values of the whole disc, or of all regions, and tables of regions laid over them."""
        parameters, complaints = OsmoBiphasic.parameters(), self.complaints
        given = {key: value for key, value in self.given.materials.items() if key not in REGIONS}
        layer = checked_table(OsmoBiphasic, given, ("materials",), complaints, hint=f"or a table of {', '.join(REGIONS)}")
        table = layered(OsmoBiphasic, graded_table(OsmoBiphasic, "materials", self.overrides), layer)
        for region in REGIONS:
            own = self.given.materials.get(region, {})
            if not isinstance(own, dict):
                complaints.add(key_path("materials", region), own, "a table")
                continue
            table = layered(OsmoBiphasic, table, self._region_layer(region, own))
        whole: Table = {key: table[key] for key, p in parameters.items() if not p.regional}
        for region in REGIONS:
            whole[region] = {key: table[key][region] for key, p in parameters.items() if region in p.regions}
        return whole

    def _region_layer(self, region: str, given: Mapping[str, Any]) -> Table:
        parameters = OsmoBiphasic.parameters()
        regional = [key for key, parameter in parameters.items() if region in parameter.regions]
        layer: Table = {}
        for key, value in given.items():
            where = key_path("materials", region, key)
            if key in parameters and key not in regional:
                self.complaints.add(where, value, f"this number in [materials], once for the whole disc")
            elif key not in parameters:
                self.complaints.unknown(where, key, regional)
            elif (found := self.complaints.value(where, parameters[key], value, region)) is not None:
                layer[key] = {region: found}
        return layer

    def _scenarios(self, mechanisms: Table) -> ScenarioReader:
        if not self.given.scenarios and not any(p.key.startswith("scenarios") for p in self.complaints.problems):
            self.complaints.add("scenarios", Shown("nothing"), "at least one table such as [scenarios.untreated]")
        use: list[str] = mechanisms["use"]
        classes: dict[str, tuple[type[Mechanism], Table]] = {name: (CATALOGUE[name], mechanisms[name]) for name in use}
        therapies = TherapyReader(self.overrides, tuple(use), self.complaints)
        return ScenarioReader(
            self.given.scenarios, self._owners(use), classes, therapies, self.duration, self.complaints
        )

    def _owners(self, use: Sequence[str]) -> list[Owner]:
        disc = owner_of(Geometry, "disc", "disc", changes=False)
        return [
            Owner("disc", disc.parameters, ("preset", "grade", "mesh_level", "start"), disc.places, disc.fixed),
            owner_of(OsmoBiphasic, "materials", "materials", changes=False),
            owner_of(LOADINGS[self.loading_kind], "loading", "loading"),
            *(owner_of(CATALOGUE[name], name, f"mechanisms.{name}") for name in use),
        ]

    def _readouts(self) -> list[str]:
        use: list[str] = []
        for name in self.given.readouts.use:
            found = self.complaints.choice("readouts.use", name, tuple(READOUTS))
            if found in use:
                self.complaints.add("readouts.use", name, "every readout once", "named twice")
            elif found is not None:
                use.append(found)
        if not self.given.readouts.use:
            self.complaints.add("readouts.use", [], "at least one readout")
        return use

    def _output(self) -> Table:
        given, end = self.given.output, self.duration or "100 year"
        seconds = units.parse(end, "s")
        times = [text for text in DEFAULT_TIMES if units.parse(text, "s") <= seconds]
        table: Table = {
            "times": times if given.times is None else self._times("times", given.times),
            "field_times": ["0 year", end] if given.field_times is None else self._times("field_times", given.field_times),
        }
        if given.fields is not None:
            table["fields"] = list(given.fields)
        return table

    def _times(self, key: str, given: Sequence[Any]) -> list[str]:
        texts, seconds = [], set()
        for item in given:
            where = f"output.{key}"
            text = self.complaints.value(where, Clock.parameters()["time"], item)
            if text is None:
                continue
            time = units.parse(text, "s")
            if self.duration is not None and time > units.parse(self.duration, "s"):
                self.complaints.add(where, item, f"0 day to {self.duration}", "after the end of the simulated time")
            elif time in seconds:
                self.complaints.add(where, item, "every time once", "named twice")
            seconds.add(time)
            texts.append(str(text))
        return texts

    def _solver(self) -> Table:
        given = {key: getattr(self.given.solver, key) for key in Solver.parameters()}
        table = self._laid_over_grade(Solver, "solver", {k: v for k, v in given.items() if v is not None})
        if units.parse(table["first_step"], "s") > units.parse(table["largest_step"], "s"):
            given = Shown(f"{table['first_step']} to {table['largest_step']}")
            self.complaints.add("solver.first_step", given, "a first step no longer than solver.largest_step")
        return table

    def _check(self) -> Table:
        check, complaints = self.given.check, self.complaints
        assert check is not None
        engine = complaints.choice("check.engine", check.engine, ENGINES)
        most, design = MOST_SAMPLES, self.given.design
        if design is not None and design.kind in SAMPLED and design.samples is not None and design.samples > 0:
            most = design.samples
        if not 1 <= check.samples <= most:
            complaints.add("check.samples", check.samples, f"1 to {most}")
        if not 0.0 < check.tolerance < 1.0:
            complaints.add("check.tolerance", check.tolerance, "a number between 0 and 1", "largest relative deviation")
        return {"engine": engine, "samples": check.samples, "tolerance": float(check.tolerance)}


def _brought(name: str) -> str:
    return f"{name} comes with a therapy: give its numbers in the therapy's table" if name in CATALOGUE else ""


def _inline(table: Table) -> Table:
    """Values by region are written on one line."""
    return {key: Inline(value) if isinstance(value, dict) else value for key, value in table.items()}


def _study(reader: _Reader, complaints: Complaints) -> Study | None:
    """The study, once what only shows when all parts are together is checked as well."""
    try:
        study = build_study(reader.document, write_text(reader.document))
        composition = Composition(union_of_mechanisms(study.scenarios).values())
        matrix_gag_name(composition.fields)
    except (CompositionError, ParameterError) as error:
        if not complaints.problems:
            given = reader.document["mechanisms"]["use"]
            complaints.add("mechanisms.use", given, "mechanisms that fit together", " ".join(str(error).split()))
        return None
    except (LookupError, TypeError, ValueError):
        if complaints.problems:  # they left holes in the document
            return None
        raise
    known = (*composition.fields, *composition.value_names(), "osmotic_pressure", "fixed_charge_density")
    for name in reader.document["output"].get("fields", ()):
        complaints.choice("output.fields", name, known)
    return study
