"""Which failures of a run are tried again, and what a user reads of the others."""

from __future__ import annotations

import multiprocessing
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import ray.train
import torch
from ray.exceptions import RayActorError, RayTaskError
from ray.train.v2._internal.execution.context import TrainRunContext
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from crossray.core.errors import CrossRayError
from crossray.data.corpora.corpus import PairCorpus
from crossray.data.corpora.loading import naming, training_loader
from crossray.data.corpora.sampling import BatchSampler
from crossray.data.tokenization import load_tokenizer
from crossray.recipes import get_recipe
from crossray.training import run
from crossray.training.failures import StopRepeatableFailures, repeatable_failure
from crossray.training.spec import RunSpec
from support.images import encoded_image
from support.pairs import write_pairs
from support.runs import no_data

OURS = CrossRayError("the item 'i7' cannot be read; leave it out.")
LOST = RayActorError()
COLLATERAL = RuntimeError("Connection closed by peer [10.0.0.7]:4242")
RUN: TrainRunContext = None  # type: ignore[assignment]  # what the callback does not look at


@pytest.mark.parametrize(
    ("failures", "words"),
    [
        ({0: OURS}, "'i7'"),
        ({0: COLLATERAL, 1: OURS}, "'i7'"),
        ({0: LOST, 1: OURS}, "'i7'"),
        ({0: RayTaskError("f", "traceback", OURS)}, "'i7'"),
        ({0: COLLATERAL, 1: ValueError("no such column")}, "worker 1 failed: .*no such column"),
        ({0: KeyError("x")}, "worker 0 failed"),
        ({0: AssertionError()}, "worker 0 failed"),
    ],
)
def test_what_would_fail_again_is_not_tried_again(
    failures: dict[int, Exception], words: str
) -> None:
    """Three times the same error is a day of waiting for one sentence."""
    with pytest.raises(ray.train.ControllerError, match=words) as caught:
        StopRepeatableFailures().after_exception(RUN, failures)
    failure = pickle.loads(pickle.dumps(caught.value)).controller_failure
    assert isinstance(failure, CrossRayError)
    assert "\n" not in str(failure)


@pytest.mark.parametrize(
    "failures",
    [{0: LOST}, {0: COLLATERAL}, {0: ValueError("closed"), 1: LOST}, {0: OSError(5, "disk")},
     {0: torch.OutOfMemoryError("memory")}, {0: MemoryError()}],
)  # fmt: skip
def test_what_may_pass_is_tried_again(failures: dict[int, Exception]) -> None:
    """A spot instance that is taken away must cost minutes, not the run."""
    StopRepeatableFailures().after_exception(RUN, failures)
    assert repeatable_failure(failures) is None


class _Bad(Dataset[int]):
    def __len__(self) -> int:
        return 2

    def __getitem__(self, at: int) -> int:
        with naming("i7"):
            raise ValueError("broken\nPNG")


def test_the_sentence_survives_a_loader_process() -> None:
    """A traceback in the middle of a sentence hides which item is meant."""
    context = multiprocessing.get_context("fork")
    with pytest.raises(CrossRayError) as caught:
        list(DataLoader(_Bad(), num_workers=1, multiprocessing_context=context))
    assert "\n" in str(caught.value)
    assert str(repeatable_failure({0: caught.value})) == (
        "the item 'i7' cannot be read (broken PNG); mend it and ingest it again, or leave it out."
    )


def test_the_item_is_named(tmp_path: Path) -> None:
    """Among a million items nobody finds the one that stops a training run."""
    rows = [
        {"item_id": f"i{at}", "group_id": f"i{at}", "split": "train", "texts": [f"cat {at}"],
         "image": encoded_image(at), "sections": [], "labels": [], "boxes": [], "masks": [],
         "meta": []}
        for at in range(4)
    ]  # fmt: skip
    rows[2]["image"] = b"no image"
    pairs = write_pairs(str(tmp_path / "pairs"), rows)

    def transform(data: bytes) -> Tensor:
        if data == b"no image":
            raise OSError("cannot identify image file")
        return torch.zeros(3, 2, 2)

    tokenizer = load_tokenizer("wordpiece", ["cat cat 0 0 1 1"], 40)
    corpus = PairCorpus(pairs, "train", tokenizer, 8, transform)
    sampler = BatchSampler(4, 4, 1, 0, (1, 0), 1)
    with pytest.raises(CrossRayError, match=r"the item 'i2' cannot be read .*cannot identify"):
        list(training_loader(corpus, sampler, 0, 0))


@pytest.mark.e2e
def test_ray_train_starts_no_such_run_again(
    ray_cluster: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Left to itself Ray Train retries every failure, a bad item three times over."""
    started = tmp_path / "started"

    def raises(_: RunSpec) -> None:
        with started.open("a") as log:
            log.write("x")
        raise CrossRayError("the item 'i7' cannot be read; leave it out.")

    monkeypatch.setattr(run, "train_worker", raises)
    recipe = get_recipe("clip_pretrained_tiny")
    recipe = replace(recipe, train=replace(recipe.train, workers=1, max_failures=2))
    with pytest.raises(CrossRayError, match=r"^the item 'i7' cannot be read; leave it out\.$"):
        run._fit(no_data(recipe, tmp_path), None)
    assert started.read_text() == "x"
    assert "Traceback" not in capfd.readouterr().err
