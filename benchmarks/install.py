"""Size of an installation, and how long a command takes to answer: fresh environments with the versions of the lock file.

python benchmarks/install.py                 # the core, then with the extra fem; needs a package index
python benchmarks/install.py --extras fem view
"""

from __future__ import annotations

import argparse
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LARGEST = 8
REPEATS = 7
COMMANDS = {
    "python -c pass": ("-c", "pass"),
    "import discsim": ("-c", "import discsim"),
    "discsim --help": ("-m", "discsim", "--help"),
    "discsim sweep --help": ("-m", "discsim", "sweep", "--help"),
    "discsim validate": ("-m", "discsim", "validate", str(ROOT / "experiments/cells_vs_gene/study.toml")),
}


def constraints(folder: Path) -> Path:
    """The lock file without its hashes, as pip takes it for a choice of the packages."""
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pins = [line.removesuffix("\\").strip() for line in lines if re.match(r"[A-Za-z0-9]", line)]
    path = folder / "constraints.txt"
    path.write_text("\n".join(pins) + "\n", encoding="utf-8")
    return path


def install(folder: Path, extras: str, pins: Path) -> Path:
    """Install discsim into an environment of its own; its Python."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    target = f"{ROOT}[{extras}]" if extras else str(ROOT)
    command = [str(python), "-m", "pip", "install", "--quiet", "--no-cache-dir", "--constraint", str(pins), target]
    subprocess.run(command, check=True)
    return python


def sizes(python: Path) -> dict[str, float]:
    """Megabytes (1e6 bytes) of everything beside pip, by the folder that it lies in."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True).stdout.strip())
    return {
        place.name: sum(file.stat().st_size for file in (place, *place.rglob("*")) if file.is_file()) / 1e6
        for place in packages.iterdir()
        if not place.name.startswith("pip")
    }


def best_seconds(python: Path, arguments: tuple[str, ...], folder: Path) -> tuple[float, float]:
    """Shortest wall and processor time of a command; a first call, which compiles the modules, does not count."""
    walls, processors = [], []
    for _ in range(REPEATS + 1):
        began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([str(python), *arguments], cwd=folder, capture_output=True, check=True)
        walls.append(time.perf_counter() - began)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        processors.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(walls[1:]), min(processors[1:])


def measure(extras: str) -> None:
    """Install, then print sizes and times."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python = install(folder / "venv", extras, constraints(folder))
        found = sizes(python)
        shown = sorted(found, key=lambda place: -found[place])[:LARGEST]
        print(f"{f'extra {extras}' if extras else 'core'}: {sum(found.values()):.0f} MB", flush=True)
        print("  " + ", ".join(f"{place} {found[place]:.0f}" for place in shown))
        for words, arguments in COMMANDS.items():
            wall, processor = best_seconds(python, arguments, folder)
            print(f"  {words}: {wall:.2f} s (processor {processor:.2f} s)", flush=True)


def main() -> None:
    """Measure the core, then each extra beside it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--extras", nargs="*", default=["", "fem"], help='extras to measure; "" is the core alone')
    for extras in parser.parse_args().extras:
        measure(extras)


if __name__ == "__main__":
    main()
