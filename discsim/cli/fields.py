"""What commands about the fields of a run share: finding the run, and telling what its fields lack."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from discsim.cli.common import BAD_INPUT, Stop, show_error
from discsim.study.folder_files import RESULT_FILE

if TYPE_CHECKING:
    from discsim.study.result import Result


def load_run(path: Path) -> Result:
    """The result of a run, from its folder or its file; a folder that holds none is refused with what it is instead."""
    from discsim.study.result import Result
    from discsim.study.sweep_folder import is_sweep

    if not path.is_dir():
        return Result.load(path)
    source = path / RESULT_FILE
    if not source.exists():
        if is_sweep(path):
            raise Stop(BAD_INPUT, f"{path}: a sweep keeps no fields; discsim run keeps those of the nominal sample")
        raise Stop(BAD_INPUT, f"{path}: holds no {RESULT_FILE}, so no run; discsim run FILE --out DIR makes one")
    return Result.load(source)


def tell_gaps(result: Result, scenarios: Collection[str]) -> None:
    """Lines about the fields of these scenarios that end early, and about those of the result that kept none."""
    for name, failure in result.failed().items():
        if name in scenarios:
            show_error(f"{name} did not finish ({failure.status}: {failure.reason}); its fields end at its last good time")
    without = [name for name in result.scenario_names if not result[name].has_fields]
    if without:
        show_error(f"no fields were kept of {', '.join(without)}")
