"""How long commands take to show their help, compared with importing the parser that they use.

    python benchmarks/startup.py

The figures are medians of `ROUNDS` processes each, in turn, after one that fills the caches.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

ROUNDS = 15
CROSSRAY = str(Path(sys.executable).with_name("crossray"))
COMMANDS = {
    "import tyro, rich": (sys.executable, "-c", "import tyro, rich"),
    "crossray --help": (CROSSRAY, "--help"),
    "crossray search --help": (CROSSRAY, "search", "--help"),
    "crossray inspect --help": (CROSSRAY, "inspect", "--help"),
    "crossray ingest --help": (CROSSRAY, "ingest", "--help"),
}


def main() -> None:
    """Print a line a command."""
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS + 1):
        for name, command in COMMANDS.items():
            began = time.perf_counter()
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
            seconds[name].append(time.perf_counter() - began)
    base, *_ = (median(times[1:]) for times in seconds.values())
    for name, times in seconds.items():
        print(f"{name:24} {median(times[1:]) * 1000:5.0f} ms {median(times[1:]) / base:5.2f}")


if __name__ == "__main__":
    main()
