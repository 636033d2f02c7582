"""The training that a benchmark of the reduced engine needs."""

from __future__ import annotations

from rich.console import Console

from discsim.study.study import Study
from discsim.study.train import NotTrained, train_study, trained
from discsim.sweep.reduced.engine import Training


def training_of(study: Study, console: Console) -> Training:
    """That of a study, made now where there is none."""
    try:
        return trained(study)
    except NotTrained as error:
        console.print(f"{error}; training now")
        return train_study(study, lambda stage, done, of: None)
