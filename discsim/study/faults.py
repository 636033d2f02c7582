"""Faults on purpose: to see for oneself what a sweep makes of a sample that goes wrong.

``DISCSIM_FAULT=kill@7,nan@11,hang@13`` before the command; a fault comes at every attempt at its sample, in whatever process.
"""

from __future__ import annotations

import dataclasses
import errno
import math
import os
import signal
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from discsim.problem.problem import Problem

VARIABLE = "DISCSIM_FAULT"
KINDS = {
    "kill": "the process is killed, as the system does for want of memory",
    "hang": "nothing more happens",
    "oom": "the process takes memory until it holds more than --memory allows",
    "slow": "it takes five seconds more",
    "raise": "the engine raises an error",
    "nan": "every parameter is no number",
    "enospc": "the disk is full when the result is to be written",
}
SLOW = 5.0  # s
GREED, CHUNK = 1.5, 2**26  # memory that is taken: over the one allowed; bytes at a time


class FaultError(ValueError):
    """A text that names no faults."""


def read_faults(text: str, samples: int) -> dict[int, str]:
    """Sample -> kind of fault, of a text such as ``kill@7,nan@11``; raises ``FaultError`` with what is wrong."""
    found: dict[int, str] = {}
    for part in (part.strip() for part in text.split(",") if part.strip()):
        kind, at, number = part.partition("@")
        if kind not in KINDS or not at or not number.isdecimal():
            raise FaultError(f"{VARIABLE}: {part!r} is no fault; write KIND@SAMPLE, where KIND is {', '.join(KINDS)}")
        if int(number) >= samples:
            raise FaultError(f"{VARIABLE}: {part}: the design has samples 0 to {samples - 1}")
        if int(number) in found:
            raise FaultError(f"{VARIABLE}: two faults for sample {int(number)}; one is enough")
        found[int(number)] = kind
    return found


def strike(kind: str | None, memory: float | None = None) -> None:
    """What happens before a sample is solved. ``memory``: GiB that the process may hold; without it none is taken on purpose."""
    if kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif kind == "raise":
        raise ArithmeticError(f"a fault on purpose ({VARIABLE})")
    elif kind == "slow":
        time.sleep(SLOW)
    taken = [b"x" * CHUNK for _ in range(_chunks(memory))] if kind == "oom" else []
    while kind == "hang" or taken:
        time.sleep(SLOW)


def _chunks(memory: float | None) -> int:
    assert memory is not None, "a sweep without a limit of memory is refused this fault"
    return math.ceil(GREED * memory * 2.0**30 / CHUNK)


def spoil(kind: str | None, problem: Problem) -> Problem:
    """The problem that is solved instead."""
    if kind != "nan":
        return problem

    return dataclasses.replace(
        problem, arms=tuple(dataclasses.replace(arm, values=_no_numbers(arm.values)) for arm in problem.arms)
    )


def _no_numbers(value: Any) -> Any:
    """A value, or values by path or region, without a number."""
    if isinstance(value, Mapping):
        return {name: _no_numbers(each) for name, each in value.items()}
    return np.full_like(np.asarray(value, dtype=float), np.nan)[()]


def fill_disk(kinds: Mapping[int, str], samples: tuple[int, ...]) -> None:
    """What happens when the results of some samples are to be written."""
    if any(kinds.get(sample) == "enospc" for sample in samples):
        raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}, a fault on purpose ({VARIABLE})")
