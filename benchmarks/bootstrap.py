"""How long do the bootstrap intervals of a table of metrics take?

Draws as many per-query values as a large evaluation has, and computes the 95 % percentile interval
of the mean of every metric twice: at once by `confidence_intervals`, and by a loop over
`scipy.stats.bootstrap`, one metric after the other, in batches of bounded memory. The last line of
the output is one JSON object: `seconds`, `scipy_seconds` and their `ratio`; the same of processor
time (`cpu_...`), which other programs on the machine disturb less; `peak_mib`, how much the process
grew while `confidence_intervals` ran; and `largest_difference` of the interval ends, in standard
errors of the mean.
"""

from __future__ import annotations

import argparse
import json
import resource
import time

import numpy as np
from scipy import stats

from crossray.evaluation import confidence_intervals

BATCH = 200


def peak_mib() -> float:
    """The largest resident size of this process so far in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def main() -> None:
    """Measure both ways on the same values."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=5_000)
    parser.add_argument("--metrics", type=int, default=10)
    parser.add_argument("--resamples", type=int, default=10_000)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    values = {f"metric {m}": rng.random(options.queries) for m in range(options.metrics)}

    before, start, cpu_start = peak_mib(), time.perf_counter(), time.process_time()
    ours = confidence_intervals(values, {}, options.resamples)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    grown = peak_mib() - before
    print(f"confidence_intervals {seconds:8.2f} s", flush=True)

    start, cpu_start = time.perf_counter(), time.process_time()
    theirs = {
        name: stats.bootstrap(
            (value_Q,), np.mean, n_resamples=options.resamples, batch=BATCH, method="percentile",
            rng=1,
        ).confidence_interval
        for name, value_Q in values.items()
    }  # fmt: skip
    scipy_seconds, scipy_cpu = time.perf_counter() - start, time.process_time() - cpu_start
    print(f"scipy.stats.bootstrap {scipy_seconds:7.2f} s", flush=True)

    difference = max(
        np.abs(np.subtract(ours[name], theirs[name])).max() / stats.sem(value_Q)
        for name, value_Q in values.items()
    )
    report = {
        "seconds": round(seconds, 2),
        "scipy_seconds": round(scipy_seconds, 2),
        "ratio": round(scipy_seconds / seconds, 1),
        "cpu_seconds": round(cpu_seconds, 2),
        "scipy_cpu_seconds": round(scipy_cpu, 2),
        "cpu_ratio": round(scipy_cpu / cpu_seconds, 1),
        "peak_mib": round(grown, 1),
        "largest_difference": round(float(difference), 3),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
