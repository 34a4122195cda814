"""The dashboard of sweeps; the metrics of trials are those of `studies.sweep.progress`."""

from __future__ import annotations

from crossray.monitoring.grafana_json import Board, Panel, Series

SWEEPS = Board(
    "sweeps",
    "sweeps",
    (
        Panel(
            "Trials by state",
            "none",
            (
                Series(
                    'max by (run, state) (ray_crossray_sweep_trials{run=~"$run"})',
                    "{{run}} {{state}}",
                ),
            ),
            "How many trials wait, run, have ended and have failed.",
        ),
        Panel(
            "Best so far",
            "none",
            (Series('max by (run) (ray_crossray_sweep_best{run=~"$run"})', "{{run}}"),),
            "The best value of what the sweep looks for.",
        ),
        Panel(
            "CPUs and GPUs, reserved and in all",
            "none",
            (
                Series(
                    'sum by (Name) (ray_resources{Name=~"CPU|GPU", State="USED"})',
                    "{{Name}} reserved",
                ),
                Series('sum by (Name) (ray_resources{Name=~"CPU|GPU"})', "{{Name}} in all"),
            ),
            "Of the whole cluster. Trials wait for what is not there.",
        ),
        Panel(
            "Memory in use",
            "bytes",
            (Series("sum by (instance) (ray_node_mem_used)", "{{instance}}"),),
            "Of each node.",
        ),
    ),
    variable=("ray_crossray_sweep_trials", "run"),
)
