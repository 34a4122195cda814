"""The dashboard of training runs; most metrics are those of `training.ray_metrics`."""

from crossray.monitoring.boards.panels import Board, Panel, Series


def _of_run(metric: str, *labels: str) -> str:
    """A gauge of the chosen runs; a run that was resumed has one for each process that led it."""
    by = ", ".join(("run", *labels))
    return f'max by ({by}) (ray_crossray_training_{metric}{{run=~"$run"}})'


def _counted(metric: str) -> str:
    return f'sum by (run) (ray_crossray_training_{metric}_total{{run=~"$run"}})'


TRAINING = Board(
    "training",
    "training",
    (
        Panel(
            "Loss terms",
            "none",
            (Series(_of_run("loss", "term"), "{{run}} {{term}}"),),
            "Each term of the loss as it is added up, and `total`, their sum.",
        ),
        Panel(
            "Quality on the split that selects",
            "none",
            (
                Series(
                    _of_run("quality", "split", "direction", "metric"),
                    "{{run}} {{split}} {{direction}} {{metric}}",
                ),
            ),
            "Measured after every epoch.",
        ),
        Panel(
            "Samples a second",
            "suffix: samples/s",
            (Series(_of_run("samples_per_second"), "{{run}}"),),
            "Items that all workers together train on, validation and checkpoints not counted.",
        ),
        Panel(
            "Waiting share",
            "percentunit",
            (Series(_of_run("waiting_share"), "{{run}}"),),
            "The part of the time in which the first worker waits for its next batch. Above a "
            "tenth or so, reading is what limits the run: raise train.loader_processes.",
            share=True,
        ),
        Panel(
            "Norm of the gradient",
            "none",
            (Series(_of_run("gradient_norm", "phase"), "{{run}} {{phase}}"),),
            "Of each phase, over all workers and before clipping.",
        ),
        Panel(
            "Level weights and what else a method observes",
            "none",
            (Series(_of_run("observation", "name"), "{{run}} {{name}}"),),
            "HIER's weights of its level losses; MMACH's anchors without a triplet.",
        ),
        Panel(
            "Learning rate",
            "sci",
            (Series(_of_run("learning_rate"), "{{run}}"),),
            "Of the first phase.",
        ),
        Panel(
            "Seconds a step",
            "s",
            (Series(_of_run("seconds_per_step"), "{{run}}"),),
            "The mean since the run or its continuation began, everything included.",
        ),
        Panel(
            "Workers",
            "none",
            (Series(_of_run("workers"), "{{run}}"),),
            "Processes that train. A gap is a restart after a loss.",
        ),
        Panel(
            "State of Ray Train's controllers",
            "none",
            (
                Series(
                    "sum by (ray_train_controller_state) (ray_train_controller_state)",
                    "{{ray_train_controller_state}}",
                ),
            ),
            "How many runs are in each state, of all runs.",
        ),
        Panel(
            "Steps taken and checkpoints written",
            "none",
            (
                Series(_counted("steps"), "{{run}} steps"),
                Series(_counted("checkpoints"), "{{run}} checkpoints"),
            ),
            "Steps that were lost with a worker and taken again count twice.",
        ),
        Panel(
            "Seconds of the last checkpoint",
            "s",
            (Series(_of_run("checkpoint_seconds"), "{{run}}"),),
            "To write it and hand it to Ray Train; all workers wait.",
        ),
    ),
    variable=("ray_crossray_training_workers", "run"),
)
