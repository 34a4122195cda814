"""Does the memory of an ingest and of embedding grow with the number of rows?

    python benchmarks/memory.py [--rows 4000 40000]

Ingests phantom with few and with many rows and embeds them with an untrained student of the usual
small towers, each in a fresh process with a fresh Ray, and samples the proportional set size (PSS,
which counts shared pages once) of that process and all its descendants: driver, raylet, object
store, control store and workers. The last line of the output is one JSON object: by stage
`peak_mib` by rows, and `growth`, the last peak over the first minus 1.
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
INGEST = """
import sys
from crossray.stages.ingest import ingest
from crossray.data.sources.phantom import PhantomConfig, PhantomSource
rows, folder = sys.argv[1:]
ingest(PhantomSource(PhantomConfig(items=int(rows), seed=7)), f"{folder}/pairs-{rows}")
"""
EMBED = """
import sys
from crossray.core.artifacts import create, open_artifact
from crossray.models.artifact import TOKENIZER, WEIGHTS, method_to_dict, save_weights
from crossray.recipes import STUDENTS, get_recipe
from crossray.stages.embed import Embed
from crossray.models.fitting import fitted, make_tokenizer
rows, folder = sys.argv[1:]
pairs = open_artifact(f"{folder}/pairs-{rows}")
recipe = get_recipe("student_tiny", STUDENTS)
tokenizer = make_tokenizer(recipe.tokenizer, pairs)
method = fitted(recipe, tokenizer).method
config = {"method": method_to_dict(method), "tokenizer": {"max_tokens": 160}}
with create(f"{folder}/student-{rows}", "student", config, (pairs,)) as draft:
    save_weights(method.build().state_dict(), draft.path / WEIGHTS)
    tokenizer.save(draft.path / TOKENIZER)
Embed(f"{folder}/student-{rows}", pairs.uri, f"{folder}/vectors-{rows}").run()
"""
STAGES = {"ingest": INGEST, "embed": EMBED}


def pss_mib(root: psutil.Process) -> float:
    """PSS of a process and its descendants in MiB; processes that just ended count nothing."""
    total = 0
    with suppress(psutil.Error):
        for process in [root, *root.children(recursive=True)]:
            with suppress(psutil.Error):
                total += process.memory_full_info().pss
    return total / 2**20


def measure(stage: str, rows: int, folder: str) -> tuple[float, float]:
    """Peak PSS in MiB and duration in seconds of a stage over `rows`."""
    environment = {**os.environ, "PYTHONPATH": str(PLATFORM), "CROSSRAY_STORE": folder}
    environment.pop("RAY_ADDRESS", None)
    started = time.perf_counter()
    command = [sys.executable, "-c", STAGES[stage], str(rows), folder]
    with subprocess.Popen(command, env=environment) as child:
        root, peak = psutil.Process(child.pid), 0.0
        while child.poll() is None:
            peak = max(peak, pss_mib(root))
            time.sleep(PERIOD_S)
    if child.returncode:
        sys.exit(f"{stage} of {rows} rows failed")
    return peak, time.perf_counter() - started


def main() -> None:
    """Measure every stage with every number of rows in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[4_000, 40_000])
    rows = parser.parse_args().rows
    peaks: dict[str, dict[str, float]] = {stage: {} for stage in STAGES}
    print(f"{'stage':>8} {'rows':>8} {'peak MiB':>9} {'seconds':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for count in rows:
            for stage in STAGES:
                peak, seconds = measure(stage, count, folder)
                peaks[stage][str(count)] = round(peak, 1)
                print(f"{stage:>8} {count:>8} {peak:>9.1f} {seconds:>8.1f}", flush=True)
    first, last = str(rows[0]), str(rows[-1])
    result = {
        stage: {"peak_mib": by_rows, "growth": round(by_rows[last] / by_rows[first] - 1, 4)}
        for stage, by_rows in peaks.items()
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
