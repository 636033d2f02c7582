"""A folder that discsim computed as a Workflow Run RO-Crate: its files, and who made them from what with what.

The experiment file is the workflow, discsim the software that it needs, and each run or sweep a ``CreateAction``. Profiles:
RO-Crate 1.1, Workflow RO-Crate 1.0, Process Run Crate 0.5, Workflow Run Crate 0.5. A study that was built in Python and cannot be
written as a file has no workflow; its crate is one of Process Run Crate 0.5 alone.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from discsim.study.computation import Computation, environment_of
from discsim.study.environment import MissingTool
from discsim.study.provenance import now
from discsim.study.store import ResultError, appearing, write_text_file
from discsim.study.sweep_folder import STUDY_FILE

if TYPE_CHECKING:
    from rocrate.rocrate import ROCrate

RO_CRATE = "1.1"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
PROCESS_PROFILE = next(iter(PROFILES))
TERMS = "https://w3id.org/ro/terms/workflow-run/context"  # brings sha256 and environment
BIOSCHEMAS = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
STATUS = {"completed": "CompletedActionStatus", "failed": "FailedActionStatus", "running": "ActiveActionStatus"}
MEDIA = {".nc": "application/x-netcdf", ".toml": "application/toml", ".png": "image/png"}
MEDIA |= {".json": "application/json", ".html": "text/html"}
SECOND_STUDY = "study_of_the_run.toml"  # where run and sweep of a folder have different experiments
NO_LICENSE = "No license is stated."


@dataclasses.dataclass(frozen=True)
class Author:
    """Who ran it; ``orcid`` is an address (https://orcid.org/...) or empty."""

    name: str
    orcid: str = ""


@dataclasses.dataclass(frozen=True)
class License:
    """Under what the files may be used: its address and what to call it."""

    address: str
    name: str


def orcid_address(text: str) -> str | None:
    """The address of an ORCID that is given as such or as 16 digits; nothing where its check digit (ISO 7064) is wrong."""
    match = re.fullmatch(r"(?:https?://orcid\.org/)?(\d{4}-\d{4}-\d{4}-\d{3}[\dX])", text)
    if match is None:
        return None
    digits = match[1].replace("-", "")
    total = 0
    for digit in digits[:-1]:
        total = 2 * (total + int(digit))
    check = (12 - total % 11) % 11
    return f"https://orcid.org/{match[1]}" if digits[-1] == ("X" if check == 10 else str(check)) else None


def need_rocrate() -> None:
    """Raise ``MissingTool`` where the library that writes crates is not installed."""
    try:
        import rocrate.rocrate  # noqa: F401
    except ImportError as error:
        raise MissingTool(f"crates need the package rocrate ({error}): pip install 'discsim[crate]'") from None


def write_crate(
    folder: Path, found: Sequence[Computation], target: Path, author: Author | None = None, licensed: License | None = None
) -> int:
    """Write a crate of the computations of ``folder``: a ZIP file where ``target`` ends in .zip, else a folder.

    It appears whole or not at all; returns how many files it holds beside its description. Raises ``ResultError`` where
    ``target`` exists, ``OSError`` where it cannot be written.
    """
    with appearing(target) as partial:
        packed = target.suffix == ".zip"
        stage = partial.with_name("crate") if packed else partial
        stage.mkdir()
        crate = _Description(folder, stage, author, licensed)
        for computation in found:
            crate.add(computation)
        count = crate.write(found)
        if packed:
            shutil.make_archive(str(partial.with_suffix("")), "zip", stage)
        if os.path.lexists(target):
            raise ResultError(f"{target}: exists; name another place")
    return count


class _Description:
    """A crate while it is put together in the folder ``stage``."""

    def __init__(self, folder: Path, stage: Path, author: Author | None, licensed: License | None) -> None:
        from rocrate.rocrate import ROCrate

        self.folder, self.stage = folder, stage
        self.crate: ROCrate = ROCrate(version=RO_CRATE)
        self.crate.metadata.extra_contexts.append(TERMS)
        self.files: dict[str, Any] = {}
        self.workflows: dict[str, Any] = {}  # by the text of the experiment
        self.author = self._author(author) if author else None
        self.crate.root_dataset["license"] = self._license(licensed)

    def write(self, found: Sequence[Computation]) -> int:
        """Describe the crate as a whole, and write the description beside the files."""
        root = self.crate.root_dataset
        root["name"] = found[0].title
        root["description"] = " ".join(f"{one.kind.capitalize()}: {one.summary}; {_ended_words(one)}." for one in found)
        root["datePublished"] = _moment(now())
        for address, (name, version) in PROFILES.items():
            if self.workflows or address == PROCESS_PROFILE:
                profile = self._entity(address, "CreativeWork", name=name, version=version)
                root.append_to("conformsTo", profile, compact=True)
        if self.author is not None:
            root["author"] = self.author
        self.crate.write(self.stage)
        return len(self.files)

    def add(self, computation: Computation) -> None:
        """Take in the files of a run or a sweep and what made them."""
        mark = f"#{computation.kind}"
        software = self._software(mark, computation)
        workflow = self._workflow(computation, software) if computation.config else None
        given = [self._copied(name, meaning) for name, meaning in computation.given.items()]
        action = self._entity(
            mark,
            "CreateAction",
            name=f"discsim {computation.kind}: {computation.title}",
            description=f"{computation.summary}; {_ended_words(computation)}.",
            instrument=workflow or software,
            object=[*given, *self._varied(mark, computation)],
            result=[self._copied(name, meaning) for name, meaning in computation.made.items()],
            actionStatus=f"http://schema.org/{STATUS[computation.state]}",
            environment=self._facts(f"{mark}-setting", environment_of(computation).get("threads", {})),
            additionalProperty=self._facts(f"{mark}-fact", _machine(computation)),
            startTime=_moment(computation.begun),
            endTime=_moment(computation.ended),
            error=computation.error,
            agent=self.author,
        )
        self.crate.root_dataset.append_to("mentions", action, compact=True)

    def _software(self, mark: str, computation: Computation) -> Any:
        """discsim and the libraries beneath it, as they were in this computation."""
        attributes = computation.attributes
        libraries = []
        for name, version in environment_of(computation).get("versions", {}).items():
            *distribution, number = str(version).split()
            words = {"name": distribution[0] if distribution else name, "softwareVersion": number}
            libraries.append(self._entity(f"{mark}-library-{name}", "SoftwareApplication", **words))
        code = {
            "commit": attributes.get("discsim_commit", ""),
            "tracked files differ from the commit": attributes.get("discsim_dirty", ""),
            "SHA-256 of the difference": attributes.get("discsim_difference_hash", ""),
            "SHA-256 of requirements.lock": attributes.get("discsim_lock_hash", ""),
        }
        return self._entity(
            f"{mark}-discsim",
            "SoftwareApplication",
            name="discsim",
            description="Simulation of the human intervertebral disc: mechanics, nutrition, cell fate, matrix and therapies",
            softwareVersion=str(attributes.get("discsim_version", "")),
            softwareRequirements=libraries,
            additionalProperty=self._facts(f"{mark}-code", code),
        )

    def _workflow(self, computation: Computation, software: Any) -> Any:
        """The experiment file; the first one is the main workflow of the crate."""
        text = computation.config
        if text in self.workflows:
            workflow = self.workflows[text]
            workflow.append_to("softwareRequirements", software)
            return workflow
        name = SECOND_STUDY if self.workflows else STUDY_FILE
        write_text_file(self.stage / name, text)
        language = self.crate.get("#experiment-file") or self.crate.add(
            _computer_language(self.crate, "#experiment-file", "discsim experiment file (TOML)", _schema(computation))
        )
        properties = self._described(name, "the experiment with every default written out") | {
            "name": computation.title,
            "alternateName": name,
            "version": str(computation.attributes.get("discsim_config_hash", "")),
            "conformsTo": {"@id": BIOSCHEMAS},
        }
        main = not self.workflows
        workflow = self.crate.add_workflow(self.stage / name, name, properties=properties, main=main, lang=language)
        workflow["softwareRequirements"] = software
        self.workflows[text] = self.files[name] = workflow
        return workflow

    def _copied(self, name: str, meaning: str) -> Any:
        """A file of the folder, copied first, so that its hash is that of what lies in the crate."""
        if name not in self.files:
            target = self.stage / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.folder / name, target)
            properties = self._described(name, meaning) | {"name": name}
            self.files[name] = self.crate.add_file(target, name, properties=properties)
        return self.files[name]

    def _described(self, name: str, meaning: str) -> dict[str, str]:
        """Meaning, kind, size and SHA-256 of a file of the crate."""
        path = self.stage / name
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        size, media = str(path.stat().st_size), MEDIA[path.suffix]
        return {"description": meaning, "encodingFormat": media, "contentSize": size, "sha256": digest}

    def _varied(self, mark: str, computation: Computation) -> list[Any]:
        """What the design varies, and its seed."""
        found = [
            self._entity(
                f"{mark}-input-{number}",
                "PropertyValue",
                name=swept.path,
                description=f"varied ({swept.scale}); {swept.evidence}",
                unitText=swept.unit,
                minValue=_finite(swept.low),
                maxValue=_finite(swept.high),
            )
            for number, swept in enumerate(computation.inputs)
        ]
        return found if computation.seed is None else [*found, *self._facts(mark, {"seed of the design": computation.seed})]

    def _facts(self, mark: str, facts: Mapping[str, Any]) -> list[Any]:
        """Pairs of name and value; none for an empty value."""
        told = {name: value for name, value in facts.items() if value not in (None, "")}
        return [
            self._entity(f"{mark}-{number}", "PropertyValue", name=name, value=str(value))
            for number, (name, value) in enumerate(told.items())
        ]

    def _author(self, author: Author) -> Any:
        return self._entity(author.orcid or "#author", "Person", name=author.name)

    def _license(self, licensed: License | None) -> Any:
        if licensed is None:
            return NO_LICENSE
        return self._entity(licensed.address, "CreativeWork", name=licensed.name, url=licensed.address)

    def _entity(self, identifier: str, kind: str, **properties: Any) -> Any:
        """Something that is no file; properties that hold nothing are left out, a list of one is that one."""
        from rocrate.model.contextentity import ContextEntity

        single = {name: value[0] if isinstance(value, list) and len(value) == 1 else value for name, value in properties.items()}
        kept = {name: value for name, value in single.items() if value is not None and value != "" and value != []}
        return self.crate.add(ContextEntity(self.crate, identifier, properties={"@type": kind, **kept}))


def _computer_language(crate: Any, identifier: str, name: str, version: str) -> Any:
    from rocrate.model.computerlanguage import ComputerLanguage

    properties = {"@type": "ComputerLanguage", "name": name, "version": version, "url": {"@id": "https://toml.io/"}}
    return ComputerLanguage(crate, identifier, properties=properties)


def _schema(computation: Computation) -> str:
    return str(computation.attributes["discsim_schema"])


def _machine(computation: Computation) -> dict[str, Any]:
    """Engine, Python and kind of machine."""
    environment = environment_of(computation)
    apart = {name: value for name, value in environment.items() if name not in ("threads", "versions")}
    return {"engine": computation.engine, **apart}


def _ended_words(computation: Computation) -> str:
    """How it ended, or that it has not."""
    going = "still going when this crate was made: " if computation.state == "running" else ""
    words = f"{going}{computation.outcome}"
    return f"{words}; {computation.error}" if computation.error else words


def _moment(text: str) -> str:
    """A time as profiles of RO-Crate want it, with the offset in digits."""
    return datetime.datetime.fromisoformat(text).isoformat(timespec="seconds") if text else ""


def _finite(number: float) -> float | None:
    return float(number) if abs(number) != float("inf") else None
