"""A run or a sweep for other programs: fields for ParaView, or all of it as an archive that says where it came from."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from discsim.cli.common import BAD_INPUT, Stop, guarded, show_error, writable_folder
from discsim.cli.fields import load_run, tell_gaps

if TYPE_CHECKING:
    from discsim.report.crate import Author, License


@guarded
def export(
    path: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a run or a sweep; for fields also a result file.")],
    vtk: Annotated[
        Path | None, typer.Option("--vtk", metavar="OUT", help="Fields of a run as VTU files with a PVD collection per scenario.")
    ] = None,
    xdmf: Annotated[
        Path | None, typer.Option("--xdmf", metavar="OUT", help="Fields of a run as an XDMF time series per scenario.")
    ] = None,
    crate: Annotated[
        Path | None, typer.Option("--crate", metavar="OUT", help="All of it as a Workflow Run RO-Crate: a folder, or OUT.zip.")
    ] = None,
    author: Annotated[str | None, typer.Option("--author", metavar="NAME", help="Who ran it, for --crate; else no one.")] = None,
    orcid: Annotated[str | None, typer.Option("--orcid", metavar="ORCID", help="The author's ORCID, for --crate.")] = None,
    license_name: Annotated[
        str | None, typer.Option("--license", metavar="SPDX|URL", help="Under what others may use it, for --crate.")
    ] = None,
) -> None:
    """Fields for ParaView, or an archive of all of it (RO-Crate). OUT is new; nothing is replaced.

    Example: discsim export out/cells_vs_gene --vtk out/fields
    Example: discsim export out/cells_vs_gene --crate cells_vs_gene.zip --author "Ada Lovelace" --license CC-BY-4.0
    """
    wanted = {name: place for name, place in (("--vtk", vtk), ("--xdmf", xdmf), ("--crate", crate)) if place is not None}
    if len(wanted) != 1:
        given = f"; given: {', '.join(wanted)}" if wanted else ""
        raise Stop(BAD_INPUT, f"what to write: one of --vtk OUT, --xdmf OUT and --crate OUT{given}")
    ((option, target),) = wanted.items()
    theirs = {"--author": author, "--orcid": orcid, "--license": license_name}
    lost = [name for name, value in theirs.items() if value is not None]
    if lost and option != "--crate":
        raise Stop(BAD_INPUT, f"{', '.join(lost)}: for --crate only; files for ParaView name no one")
    if not path.exists():
        raise Stop(BAD_INPUT, f"{path}: no such folder")
    if os.path.lexists(target):
        raise Stop(BAD_INPUT, f"{target}: exists, and nothing is replaced; name another place")
    if option == "--crate":
        _crate(path, target, _author(author, orcid), _license(license_name))
    else:
        _fields(path, target, option)


def _fields(path: Path, target: Path, option: str) -> None:
    """Write fields into a new folder, which appears whole or not at all."""
    from discsim.report.field_files import write_vtk, write_xdmf
    from discsim.study.store import appearing

    result = load_run(path)
    _make_room(target)
    try:
        with appearing(target) as stage:
            stage.mkdir()
            written = (write_vtk if option == "--vtk" else write_xdmf)(result, stage)
    except OSError as error:
        raise Stop(BAD_INPUT, f"{target}: cannot be written ({error.strerror or error})") from None
    tell_gaps(result, result.scenario_names)
    typer.echo(f"fields in {', '.join(str(target / file.name) for file in written)}")


def _crate(path: Path, target: Path, author: Author | None, licensed: License | None) -> None:
    from discsim.report.crate import NO_LICENSE, need_rocrate, write_crate
    from discsim.study.computation import computations

    if not path.is_dir():
        raise Stop(BAD_INPUT, f"{path}: a file; --crate takes the folder of a run or a sweep")
    need_rocrate()
    found = computations(path)
    _make_room(target)
    try:
        count = write_crate(path, found, target, author, licensed)
    except OSError as error:
        raise Stop(BAD_INPUT, f"{target}: cannot be written ({error.strerror or error})") from None
    for one in found:
        going = "still going; " if one.state == "running" else ""
        show_error(f"{one.kind}: {going}{one.outcome}{f'; {one.error}' if one.error else ''}")
    if licensed is None:
        show_error(f"the crate says: {NO_LICENSE} --license states one")
    typer.echo(f"crate in {target}, {count} files")


def _make_room(target: Path) -> None:
    """Make the folder that the target is to lie in; refuse one that cannot be written to."""
    writable_folder(target.parent)
    target.parent.mkdir(parents=True, exist_ok=True)


def _author(name: str | None, orcid: str | None) -> Author | None:
    from discsim.report.crate import Author, orcid_address

    if name is None:
        if orcid is not None:
            raise Stop(BAD_INPUT, '--orcid: name the author too, with --author "Name"')
        return None
    if not name.strip():
        raise Stop(BAD_INPUT, "--author: given an empty name; leave it out to name no one")
    if orcid is None:
        return Author(name.strip())
    address = orcid_address(orcid)
    if address is None:
        raise Stop(BAD_INPUT, f"--orcid {orcid}: no ORCID; it has 16 digits, the last of them a check, as 0000-0002-1825-0097")
    return Author(name.strip(), address)


def _license(text: str | None) -> License | None:
    """A license by address or SPDX identifier."""
    from discsim.report.crate import License

    if text is None:
        return None
    if text.startswith(("https://", "http://")) and not re.search(r"\s", text) and text.partition("://")[2]:
        return License(text, text)
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    try:
        name = str(canonicalize_license_expression(text))
    except InvalidLicenseExpression:
        name = ""
    if not name or " " in name or name.startswith("LicenseRef-"):
        raise Stop(BAD_INPUT, f"--license {text}: neither an address nor one identifier of SPDX, such as CC-BY-4.0")
    return License(f"https://spdx.org/licenses/{name}", name)


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(export)
