"""Which engine computed how many samples, in words."""

from __future__ import annotations

from collections.abc import Mapping


def engine_words(counts: Mapping[str, int]) -> str:
    """How many samples each engine computed: "reduced 250 samples, sweep 6"."""
    parts = [f"{name} {count}" for name, count in counts.items()]
    if not parts:
        return "no sample"
    one = next(iter(counts.values())) == 1
    return ", ".join([f"{parts[0]} sample{'' if one else 's'}", *parts[1:]])


def engine_shares(counts: Mapping[str, int]) -> str:
    """The same with shares: "reduced 97.7 % (250), sweep 2.34 % (6)"."""
    total = sum(counts.values())
    return ", ".join(f"{name} {100.0 * count / total:.3g} % ({count})" for name, count in counts.items())


def engine_sentence(engines: Mapping[str, Mapping[str, int]]) -> str:
    """Which engine computed how many samples of which scenarios; scenarios of equal counts are told together."""
    alike: dict[tuple[tuple[str, int], ...], list[str]] = {}
    for scenario, counts in engines.items():
        alike.setdefault(tuple(sorted(counts.items())), []).append(scenario)
    if len(alike) == 1:
        return f"computed by: {engine_words(next(iter(engines.values())))}"
    parts = [f"{engine_words(engines[names[0]])} in {', '.join(names)}" for names in alike.values()]
    return f"computed by: {'; '.join(parts)}"
