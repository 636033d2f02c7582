"""The experiment file: read, checked in every respect, and turned into a study.

A file becomes a *document* first: the same tables with every default written out. The study is built of the document alone, and
its text is kept with the result, so that the text gives the same study again, whatever the defaults of a later version are.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from discsim.biology.mechanism import CompositionError, Mechanism
from discsim.disc.disc import Geometry
from discsim.disc.material import OsmoBiphasic
from discsim.disc.presets import GRADES, LEVELS, grade_overrides
from discsim.problem.presence import shared_composition
from discsim.problem.problem import matrix_gag_name, union_of_mechanisms
from discsim.quantities import units
from discsim.quantities.parameters import REGIONS, ParameterError, Parameterised
from discsim.scenario.readouts import READOUTS
from discsim.scenario.scenario import STARTS
from discsim.study.assemble import build_study
from discsim.study.design_table import CORRELATED, MOST_SAMPLES, DesignReader
from discsim.study.directions import direction_of
from discsim.study.layers import Table, checked_table, graded_table, inline, layered
from discsim.study.mechanism_tables import MechanismReader
from discsim.study.messages import Complaints, ConfigError, Mistake, Shown, key_path, shown
from discsim.study.overrides import apply_overrides
from discsim.study.paths import Owner, Paths, owner_of
from discsim.study.provenance import sha256
from discsim.study.resolve import NotWritable, differences, document_of
from discsim.study.scenario_tables import ScenarioReader
from discsim.study.schema import LOADINGS, SCHEMA, Clock, ExperimentFile, Solver, read_structure
from discsim.study.study import CHECK_ENGINES, DEFAULT_TIMES
from discsim.study.therapy_tables import TherapyReader
from discsim.study.toml_text import check_depth, parse_text, read_text, write_text

if TYPE_CHECKING:
    from discsim.study.study import Study

__all__ = ["ConfigError", "Mistake", "NotWritable", "content_hash", "read_study", "resolve", "study_from_text"]
MESH_LEVELS = (1, 2, 3)
_LONGEST_TITLE = 200


def read_study(path: str | os.PathLike[str], overrides: Iterable[str] = (), *, allow_plugin: bool = False) -> Study:
    """The study of an experiment file; ``overrides`` are texts such as ``disc.grade=1``, checked like the file itself.

    ``allow_plugin``: mechanisms of modules beside the file or installed (``"mymodel:AcidDeath"``) may be imported, which runs
    their code. Raises ``ConfigError`` with every mistake, one line each.
    """
    return study_from_text(read_text(path), overrides, source=str(path), folder=Path(path).parent, allow_plugin=allow_plugin)


def study_from_text(
    text: str, overrides: Iterable[str] = (), *, source: str = "text", folder: Path | None = None, allow_plugin: bool = False
) -> Study:
    """The study of the text of an experiment file; ``folder`` is where it may name other files."""
    raw = parse_text(text, source)
    complaints = Complaints()
    raw = apply_overrides(raw, tuple(overrides), complaints)
    check_depth(raw, source)
    version = raw.get("schema")
    if isinstance(version, str) and version != SCHEMA:  # the rest would be judged by the wrong rules
        raise ConfigError([Mistake("schema", shown(version), f'"{SCHEMA}"', "this discsim reads no other")], source)
    reader = _Reader(read_structure(raw, complaints), folder, complaints, allow_plugin=allow_plugin)
    study = _study(reader, complaints)
    if complaints.problems or study is None:
        raise ConfigError(complaints.problems, source)
    return study


def resolve(study: Study) -> str:
    """The experiment file of a study with every default written out; reading it gives the same problem.

    A study that was built in Python is written and read back. Raises ``NotWritable`` (a ``ValueError``) where no file gives it:
    scenarios with several discs, a mesh of its own, a mechanism that no module holds.
    """
    if study.resolved:
        return study.resolved
    try:
        again = study_from_text(write_text(document_of(study)), source="the study", allow_plugin=True)
    except ConfigError as error:
        raise NotWritable(f"no experiment file gives this study: {error}") from error
    wrong = differences(study.problem(), again.problem())
    if wrong:
        raise NotWritable(f"no experiment file gives this study; it would differ in {', '.join(wrong)}")
    return again.resolved


def read_document(text: str) -> tuple[dict[str, Any], Paths]:
    """The tables behind a resolved experiment file, and the paths of its numbers.

    Modules of the user may be imported: whoever has the study that the text came with has allowed that already.
    """
    complaints = Complaints()
    reader = _Reader(read_structure(parse_text(text), complaints), None, complaints, allow_plugin=True)
    if complaints.problems:
        raise ConfigError(complaints.problems, "the study")
    return reader.document, reader.paths


def content_hash(text: str) -> str:
    """SHA-256 of a resolved experiment file: equal for equal studies, whatever their files looked like."""
    return sha256(text)


class _Reader:
    """Reads table after table; ``document`` is the file with every default written out."""

    def __init__(self, given: ExperimentFile, folder: Path | None, complaints: Complaints, *, allow_plugin: bool = False) -> None:
        self.given, self.complaints = given, complaints
        self.duration = self._duration()
        disc = self._disc()
        self.overrides = grade_overrides(disc["grade"])
        loading, self.loading_kind = self._loading()
        mechanisms = MechanismReader(given.mechanisms, self.overrides, complaints, folder=folder, allow_plugin=allow_plugin)
        disc |= self._geometry()
        materials = self._materials()
        scenarios = self._scenarios(mechanisms)
        self.paths = scenarios.paths
        self.document: dict[str, Any] = {
            "schema": self._schema(),
            "title": self._title(),
            "duration": self.duration or "10 year",
            "disc": disc,
            "loading": loading,
            "mechanisms": mechanisms.document,
            "materials": materials,
            "scenarios": scenarios.document,
            "readouts": {"use": self._readouts()},
            "output": self._output(),
            "solver": self._solver(),
        }
        if given.design is not None:
            self.document["design"] = DesignReader(given.design, self.paths, folder, complaints).table
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
        return inline(layered(cls, graded_table(cls, label, self.overrides), layer))

    def _loading(self) -> tuple[Table, str]:
        given = dict(self.given.loading)
        kind = self.complaints.choice("loading.kind", given.pop("kind", "diurnal"), tuple(LOADINGS)) or "diurnal"
        cls = LOADINGS[kind]
        layer = checked_table(cls, given, ("loading",), self.complaints, also=(), hint=f"kind is {kind}")
        return {"kind": kind} | layered(cls, graded_table(cls, "loading", self.overrides), layer), kind

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
            for key in own:
                if isinstance(given.get(key), dict) and region in given[key]:
                    where = key_path("materials", region, key)
                    complaints.add(where, own[key], "every number once", f"set already by {key_path('materials', key, region)}")
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
                self.complaints.add(where, value, "this number in [materials], once for the whole disc")
            elif key not in parameters:
                self.complaints.unknown(where, key, regional)
            elif (found := self.complaints.value(where, parameters[key], value, region)) is not None:
                layer[key] = {region: found}
        return layer

    def _scenarios(self, mechanisms: MechanismReader) -> ScenarioReader:
        if not self.given.scenarios and not any(p.key.startswith("scenarios") for p in self.complaints.problems):
            self.complaints.add("scenarios", Shown("nothing"), "at least one table such as [scenarios.untreated]")
        classes = {name: (cls, mechanisms.document[name]) for name, cls in mechanisms.classes.items()}
        therapies = TherapyReader(self.overrides, tuple(classes), self.duration, self.complaints)
        owners = self._owners(mechanisms.classes)
        return ScenarioReader(
            self.given.scenarios, owners, classes, therapies, self.duration, self.complaints, unread=mechanisms.unread
        )

    def _owners(self, used: Mapping[str, type[Mechanism]]) -> list[Owner]:
        disc = owner_of(Geometry, "disc", "disc", changes=False)
        return [
            Owner("disc", disc.parameters, ("preset", "grade", "mesh_level", "start"), disc.places, disc.fixed),
            owner_of(OsmoBiphasic, "materials", "materials", changes=False),
            owner_of(LOADINGS[self.loading_kind], "loading", "loading"),
            *(owner_of(cls, name, f"mechanisms.{name}") for name, cls in used.items()),
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
        texts: list[str] = []
        seconds: set[float] = set()
        late: list[Any] = []
        for item in given:
            where = f"output.{key}"
            text = self.complaints.value(where, Clock.parameters()["time"], item)
            if text is None:
                continue
            time = units.parse(text, "s")
            if self.duration is not None and time > units.parse(self.duration, "s"):
                late.append(item)
            elif time in seconds:
                self.complaints.add(where, item, "every time once", "named twice")
            seconds.add(time)
            texts.append(str(text))
        if late:
            remedy = f"set output.{key} to times of the run too, or lengthen duration"
            self.complaints.add(
                f"output.{key}", late, f"0 day to {self.duration}", f"after the end of the simulated time; {remedy}"
            )
        return texts

    def _solver(self) -> Table:
        given = {key: getattr(self.given.solver, key) for key in Solver.parameters()}
        table = self._laid_over_grade(Solver, "solver", {k: v for k, v in given.items() if v is not None})
        if units.parse(table["first_step"], "s") > units.parse(table["largest_step"], "s"):
            order = Shown(f"{table['first_step']} to {table['largest_step']}")
            self.complaints.add("solver.first_step", order, "a first step no longer than solver.largest_step")
        return table

    def _check(self) -> Table:
        check, complaints = self.given.check, self.complaints
        assert check is not None
        engine = complaints.choice("check.engine", check.engine, CHECK_ENGINES)
        most, design = MOST_SAMPLES, self.given.design
        if design is not None and design.kind in CORRELATED and design.samples is not None and design.samples > 0:
            most = design.samples
        if not 1 <= check.samples <= most:
            complaints.add("check.samples", check.samples, f"1 to {most}")
        if not 0.0 < check.tolerance < 1.0:
            complaints.add("check.tolerance", check.tolerance, "a number between 0 and 1", "largest relative deviation")
        table: Table = {"engine": engine, "samples": check.samples, "tolerance": float(check.tolerance)}
        if check.readout is not None:
            ranked = [name for name in self.document["readouts"]["use"] if direction_of(name) is not None]
            table["readout"] = complaints.choice("check.readout", check.readout, ranked)
        return table


def _study(reader: _Reader, complaints: Complaints) -> Study | None:
    """The study, once what only shows when all parts are together is checked as well."""
    try:
        study = build_study(reader.document, write_text(reader.document))
        composition = shared_composition(study.scenarios, union_of_mechanisms(study.scenarios))
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
