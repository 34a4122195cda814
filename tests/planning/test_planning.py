"""A plan says what a run takes."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
import torch

from crossray.core.errors import CrossRayError
from crossray.planning import RunPlan
from crossray.planning.step import (
    BATCHES,
    Growth,
    Size,
    Step,
    _growth,
    model_states,
    size_of,
)
from crossray.recipes import get_recipe
from support.tiny import TINY

# Bytes a parameter, and the ZeRO stage from which they are shared out (Rajbhandari et al. 2020).
HALVES = {"weights": (2, 3), "gradients": (2, 2), "single gradients": (4, 2),
          "single weights": (4, 1), "moments": (8, 1)}  # fmt: skip
SINGLES = {"weights": (4, 3), "gradients": (4, 2), "moments": (8, 1), "copy": (4, 1)}


def by_hand(stage: int, bf16: bool, parameters: int, workers: int) -> float:
    """Bytes on a worker, one kind of number after the other."""
    total = 0.0
    for name, (size, shared_from) in (HALVES if bf16 else SINGLES).items():
        if name == "copy" and stage == 0:
            continue
        total += parameters * size / (workers if stage >= shared_from else 1)
    return total


@pytest.mark.parametrize("bf16", [True, False])
@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_states_against_a_sum_by_hand(stage: int, bf16: bool) -> None:
    """A plan that forgets the moments says that a model fits which does not."""
    size = Size(parameters=8_000_000, trained=8_000_000, largest=100)
    found = model_states(size, stage, bf16, offload=False, nodes=2, a_node=4).device
    wanted = by_hand(stage, bf16, 8_000_000, 8)
    if stage == 3 and bf16:  # DeepSpeed's estimator leaves the shared-out halves of weights out
        wanted -= 2 * 8_000_000 / 8
    elif stage == 3:  # so small a model is whole for a moment, and its gradients are
        wanted += (4 + 4) * 8_000_000
    assert found == pytest.approx(wanted, rel=0.01)


def test_frozen_parameters_are_weights_only() -> None:
    """Most of a recipe on frozen towers needs neither gradients nor moments."""
    whole = model_states(Size(10_000, 10_000, 1), 1, False, False, 1, 2).device
    half = model_states(Size(20_000, 10_000, 1), 1, False, False, 1, 2).device
    assert half - whole == 4 * 10_000


def test_the_host_holds_a_checkpoint_and_what_is_offloaded() -> None:
    """A node that runs out of memory at the end of the first epoch has trained for nothing."""
    size, step = Size(1_000, 800, 10), Step(Growth(0, 0), Growth(0, 0))
    recipe = get_recipe("hier_tiny")
    engine = replace(recipe.deepspeed, zero_stage=3, offload_optimizer=True)
    for wanted, asked in ((recipe.deepspeed, 4 * 1_000), (engine, 4 * 1_000 + 16 * 800)):
        rows = RunPlan(replace(recipe, deepspeed=wanted)).memory(size, step)
        assert next(row["host"] for row in rows if row["asked"]) == asked


def test_recomputation_costs_a_pass() -> None:
    """A third more time that nobody was told of is a third more money."""
    recipe, step = get_recipe("hier_base"), Step(Growth(0, 0), Growth(10**9, 0))
    plain, again = (
        RunPlan(replace(recipe, train=replace(recipe.train, recompute=recompute))).training(step)
        for recompute in (False, True)
    )
    assert again["hours"] == pytest.approx(plain["hours"] * 4 / 3)


def test_growth_is_that_of_items_and_pairs() -> None:
    """What is quadratic in the batch is what no longer fits a larger one."""
    growth = _growth([7 * size + 3 * size**2 for size in BATCHES])
    assert growth.item == pytest.approx(7)
    assert growth.pair == pytest.approx(3)
    assert growth.at(items=4, batch=16) == pytest.approx(7 * 4 + 3 * 4 * 16, abs=1)


def test_sizes_are_those_of_the_model() -> None:
    """Parameters counted twice or left out make every other line wrong."""
    method = TINY["clip"].build()
    size = size_of(method)
    assert size.parameters == sum(p.numel() for p in method.parameters())
    assert size.trained == size.parameters
    assert size.largest < size.parameters


MEASURED = """
import json, resource, sys, torch
from dataclasses import replace
torch.set_num_threads(1)
from crossray.recipes import get_recipe
from crossray.planning.step import random_batch
from crossray.planning.plan import fitted_method

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

recipe = get_recipe("hier_tiny")
shape = replace(recipe.method.text.shape, layers=6, width=512, heads=8, ffn_width=2048)
method = replace(recipe.method, text=replace(recipe.method.text, shape=shape))
recipe = replace(recipe, method=method)
warm = fitted_method(get_recipe("hier_tiny")).build(load_weights=False).train()
torch.stack(list(warm.losses(random_batch(warm, 2)).values())).sum().backward()
model = fitted_method(recipe).build(load_weights=False).train()
weights = sum(p.numel() for p in model.parameters()) * 4
batch = random_batch(model, 24)
before = resident() - weights
optimizer = torch.optim.AdamW(model.parameters())
loss = torch.stack(list(model.losses(batch).values())).sum()
kept = resident() - before - weights
loss.backward()
optimizer.step()
print(json.dumps({"kept": kept, "states": 4 * weights}))
"""


def test_activations_are_what_a_step_takes() -> None:
    """The figure by which a batch size is chosen."""
    run = subprocess.run(
        [sys.executable, "-c", MEASURED], capture_output=True, text=True, check=False, timeout=280
    )
    assert run.returncode == 0, run.stderr
    measured: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    recipe = get_recipe("hier_tiny")
    shape = replace(recipe.method.text.shape, layers=6, width=512, heads=8, ffn_width=2048)
    method = replace(recipe.method, text=replace(recipe.method.text, shape=shape))
    train = replace(recipe.train, batch_size=24, workers=1)
    torch.manual_seed(0)
    plan = RunPlan(replace(recipe, method=method, train=train)).run()
    first = plan["memory"][0]
    assert first["states"] == pytest.approx(measured["states"], rel=0.01)
    assert first["activations"] == pytest.approx(measured["kept"], rel=0.2)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"nodes": 0}, "nodes=0"),
        ({"items": 3}, "at least train.batch_size=64"),
        ({"utilisation": 3.5}, "no share of a GPU's peak"),
        ({"queries": 100.0}, "--queries needs --rate"),
        ({"replica_memory": "much"}, "not an amount of memory"),
    ],
)
def test_broken_plans(fields: dict[str, Any], words: str) -> None:
    """A plan of nonsense is worse than none."""
    plan = RunPlan(get_recipe("hier_tiny"), **fields)
    with pytest.raises(CrossRayError, match=words):
        plan.serving() if "replica_memory" in fields else plan.run()
