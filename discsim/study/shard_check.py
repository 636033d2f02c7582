"""Whether everything that a sweep has stored is still what was written: every shard read, nothing moved or changed."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from discsim.study.shards import ShardSummary, latest, read_shard, shard_paths, summarise
from discsim.study.store import ResultError
from discsim.study.sweep_folder import SHARDS, Manifest, load_manifest


@dataclasses.dataclass(frozen=True)
class ShardCheck:
    """What lies in the folder of a sweep.

    ``intact``: shards that hold what their names say; ``damaged``: by file name, why the others cannot be used; ``missing``:
    samples that no intact shard holds; ``failed``: samples of which not every scenario is good, and why; ``replaced``: samples
    that several shards hold (of these the latest counts).
    """

    title: str
    count: int
    intact: tuple[str, ...]
    damaged: dict[str, str]
    missing: tuple[int, ...]
    failed: dict[int, str]
    replaced: tuple[int, ...]

    @property
    def sound(self) -> bool:
        """Nothing damaged; a sweep that is not finished may be sound."""
        return not self.damaged


def check_folder(folder: Path) -> ShardCheck:
    """Read every shard of a sweep; raises ``ResultError`` where no sweep lies there."""
    manifest: Manifest = load_manifest(folder)
    summaries: list[ShardSummary] = []
    damaged: dict[str, str] = {}
    for path in shard_paths(folder / SHARDS):
        try:
            summary = summarise(path, manifest.sweep)
            read_shard(path, manifest.sweep)
            summaries.append(summary)
        except ResultError as error:
            damaged[path.name] = str(error).removeprefix(f"{path}: ")
    counting = latest(sorted(summaries, key=lambda summary: (summary.generation, summary.path.name)))
    held = [sample for summary in summaries for sample in summary.samples]
    reasons = {sample: shard.failed()[sample] for sample, shard in counting.items() if sample in shard.failed()}
    return ShardCheck(
        manifest.title,
        manifest.count,
        tuple(summary.path.name for summary in summaries),
        damaged,
        tuple(sample for sample in range(manifest.count) if sample not in counting),
        dict(sorted(reasons.items())),
        tuple(sorted(sample for sample in set(held) if held.count(sample) > 1)),
    )
