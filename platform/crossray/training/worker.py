"""What Ray Train calls in each worker process."""

from __future__ import annotations

from ray import cloudpickle


def train_worker(config: dict[str, bytes]) -> None:
    """Train the pickled `Task` of `config["task"]`.

    Ray Train's controller unpickles this function and its argument too. Nothing heavy is imported
    until a worker runs it, so that training starts sooner.
    """
    from crossray.training.loop import train

    train(cloudpickle.loads(config["task"]))
