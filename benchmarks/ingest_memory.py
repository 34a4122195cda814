"""Does the memory of an ingest grow with the number of rows?

Runs the phantom ingest with few and with many rows, each in a fresh process with its own Ray, and
samples the proportional set size (PSS, which counts shared pages once) of that process and all its
descendants: driver, raylet, object store, control store and workers. The last line of the output is
one JSON object: `peak_mib` by rows, and `growth`, the last peak over the first minus 1.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

PLATFORM = Path(__file__).resolve().parents[1] / "platform"
PERIOD_S = 0.25
CHILD = """
import sys
from crossray.data.ingest import ingest
from crossray.data.sources.phantom import PhantomConfig, PhantomSource
ingest(PhantomSource(PhantomConfig(items=int(sys.argv[1]), seed=7)), sys.argv[2])
"""


def pss_mib(root: psutil.Process) -> float:
    """PSS of a process and its descendants in MiB; processes that just ended count nothing."""
    total = 0
    with suppress(psutil.Error):
        for process in [root, *root.children(recursive=True)]:
            with suppress(psutil.Error):
                total += process.memory_full_info().pss
    return total / 2**20


def measure(rows: int, folder: str) -> tuple[float, float]:
    """Peak PSS in MiB and duration in seconds of an ingest of `rows`."""
    environment = {**os.environ, "PYTHONPATH": str(PLATFORM)}
    environment.pop("RAY_ADDRESS", None)
    started = time.perf_counter()
    command = [sys.executable, "-c", CHILD, str(rows), f"{folder}/pairs-{rows}"]
    with subprocess.Popen(command, env=environment) as child:
        root, peak = psutil.Process(child.pid), 0.0
        while child.poll() is None:
            peak = max(peak, pss_mib(root))
            time.sleep(PERIOD_S)
    if child.returncode:
        sys.exit(f"the ingest of {rows} rows failed")
    return peak, time.perf_counter() - started


def main() -> None:
    """Measure every number of rows in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[4_000, 40_000])
    rows = parser.parse_args().rows
    peaks: dict[str, float] = {}
    print(f"{'rows':>8} {'peak MiB':>9} {'seconds':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for count in rows:
            peak, seconds = measure(count, folder)
            peaks[str(count)] = round(peak, 1)
            print(f"{count:>8} {peak:>9.1f} {seconds:>8.1f}", flush=True)
    first, last = peaks[str(rows[0])], peaks[str(rows[-1])]
    print(json.dumps({"peak_mib": peaks, "growth": round(last / first - 1, 4)}))


if __name__ == "__main__":
    main()
