"""What the process of the engine tests runs; importable by it."""

from __future__ import annotations

import os
import socket
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from crossray.core.types import Batch, ImageBatch, TextBatch
from crossray.methods.config import MethodConfig
from crossray.methods.contract import Phase, Trainable
from crossray.methods.recipe import DeepSpeedConfig, OptimizerConfig, Recipe, TrainConfig
from crossray.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from crossray.training.engines import (
    PhaseEngine,
    active_engines,
    engines_of,
    gradient_norms,
    passes_per_epoch,
    phase_parameters,
)
from support.tiny import TINY, UNIMODAL, batch_of, pretext_batch, training_set


@dataclass(frozen=True)
class DuelConfig(MethodConfig):
    name: ClassVar[str] = "duel"

    def build(self, load_weights: bool = True) -> Duel:
        return Duel()


class Duel(Trainable[Batch]):
    """A generator and a critic that are trained against each other."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = nn.Linear(4, 4)
        self.critic = nn.Linear(4, 1)

    def encode_image(self, image: ImageBatch) -> Tensor:
        assert image.pixels_BCYX is not None
        z: Tensor = self.generator(image.pixels_BCYX.flatten(1)[:, :4])
        return z

    def encode_text(self, text: TextBatch) -> Tensor:
        raise AssertionError("not needed")

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        score = self.critic(self.encode_image(batch.image)).mean()
        return {"fool": -score, "judge": score.square()}

    def phases(self) -> tuple[Phase, ...]:
        return (
            Phase("generator", ("generator.",), ("fool",)),
            Phase(
                "critic", ("critic.",), ("judge",), lr_scale=0.1, optimizer="RMSprop", decayed=False
            ),
        )


def recipe_of(method: MethodConfig, zero_stage: int = 1) -> Recipe:
    """A recipe for one process with constant, large steps."""
    return Recipe(
        name="test",
        method=method,
        optimizer=OptimizerConfig(lr=1e-2, warmup=0.0),
        deepspeed=DeepSpeedConfig(zero_stage=zero_stage),  # type: ignore[arg-type]
        train=TrainConfig(batch_size=6, workers=1),
    )


def join_one() -> None:
    """Make this process a training group of one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    os.environ |= {
        "DS_ACCELERATOR": "cpu", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
        "RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0",
    }  # fmt: skip
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", rank=0, world_size=1)


def check_all(_: int, folder: str) -> None:
    """Run every check in this one process; what fails leaves its traceback in a file."""
    join_one()
    for name, check in CHECKS.items():
        try:
            check(Path(folder))
        except Exception:
            Path(folder, name).write_text(traceback.format_exc())
    torch.distributed.destroy_process_group()


def duel(_: Path, zero_stage: int) -> None:
    """Train two phases against each other."""
    torch.manual_seed(0)
    method = Duel()
    recipe = recipe_of(DuelConfig(), zero_stage)
    engines = [PhaseEngine(method, phase, recipe, steps=10) for phase in method.phases()]
    for number, engine in enumerate(engines):
        before = {name: p.detach().clone() for name, p in method.named_parameters()}
        terms = engine.step([batch_of(6)])
        assert set(terms) == {("fool", "judge")[number]}
        for name, parameter in method.named_parameters():
            moved = not torch.equal(before[name], parameter)
            assert moved == name.startswith(("generator", "critic")[number]), name
    assert engines[1].lr < engines[0].lr
    for engine, decays in zip(engines, (True, False), strict=True):
        decay = max(group["weight_decay"] for group in engine.engine.optimizer.param_groups)
        assert (decay > 0) == decays


def interrupted(
    folder: Path, config: MethodConfig, batch_of: Callable[[int], Any] = batch_of
) -> None:
    """Train, stop at a checkpoint and go on from it."""

    def start() -> tuple[Trainable[Any], list[PhaseEngine]]:
        torch.manual_seed(0)
        method = config.build().prepare(training_set())
        recipe = recipe_of(config)
        return method, [PhaseEngine(method, phase, recipe, 6) for phase in method.phases()]

    torch.manual_seed(5)
    batches = [batch_of(6) for _ in range(6)]
    folder = folder / f"checkpoint-{config.name}"
    folder.mkdir()
    whole, engines = start()
    for number, batch in enumerate(batches):
        engines[0].step([batch])
        whole.after_step(number / 6)
        torch.rand(number)  # a random state that must be restored too
        if number == 2:
            progress = Progress(
                step=3, best_value=0.5, best_epoch=1, best_file="best-1.safetensors"
            )
            save_checkpoint(folder, engines, progress)
            drawn = torch.get_rng_state()
    again, engines = start()
    assert load_checkpoint(folder, engines) == progress
    assert torch.equal(torch.get_rng_state(), drawn)
    for number, batch in enumerate(batches[3:], 3):
        engines[0].step([batch])
        again.after_step(number / 6)
    found = again.state_dict()
    for name, expected in whole.state_dict().items():
        torch.testing.assert_close(found[name], expected, msg=name)


def taking_turns(folder: Path) -> None:
    """Train MMACH's phases pass by pass, stop within one and go on from there."""
    steps_a_pass, epochs, stop = 2, 3, 9
    config = TINY["mmach"]
    base = recipe_of(config)
    recipe = replace(
        base,
        optimizer=OptimizerConfig(lr=0.5, weight_decay=0.0, schedule="linear", final_lr=0.1),
        train=replace(base.train, epochs=epochs),
    )
    torch.manual_seed(6)
    batches = [batch_of(6) for _ in range(steps_a_pass * 3 * epochs)]

    def start() -> tuple[Trainable[Any], list[PhaseEngine]]:
        torch.manual_seed(0)
        method = config.build().prepare(training_set())
        assert passes_per_epoch(method) == 3
        return method, engines_of(method, recipe, len(batches))

    def go_on(method: Trainable[Any], engines: list[PhaseEngine], first: int) -> None:
        for step in range(first, len(batches)):
            (engine,) = active_engines(engines, step // steps_a_pass)
            assert engine.phase.name == ("label", "image", "text")[step // steps_a_pass % 3]
            assert engine.lr == pytest.approx((0.5, 0.275, 0.05)[step // steps_a_pass // 3])
            before = {name: p.detach().clone() for name, p in method.named_parameters()}
            engine.step([batches[step]])
            for name, parameter in method.named_parameters():
                own = name.startswith(engine.phase.parameters)
                assert own or torch.equal(before[name], parameter), name
            if step + 1 == stop and not first:
                save_checkpoint(folder / "turns", engines, Progress(step=stop))

    whole, engines = start()
    (folder / "turns").mkdir()
    go_on(whole, engines, 0)
    again, engines = start()
    assert load_checkpoint(folder / "turns", engines).step == stop
    go_on(again, engines, stop)
    for (name, expected), found in zip(
        whole.state_dict().items(), again.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(found, expected, msg=name)


def norms(_: Path, zero_stage: int) -> None:
    """The gradient's norm of each phase, before clipping, against one worked out by autograd."""
    torch.manual_seed(0)
    method, batch = Duel(), batch_of(6)
    recipe = recipe_of(DuelConfig(), zero_stage)
    recipe = replace(recipe, deepspeed=replace(recipe.deepspeed, gradient_clipping=1e-3))
    engines = [PhaseEngine(method, phase, recipe, steps=10) for phase in method.phases()]
    assert gradient_norms(engines) == {}
    for engine in engines:
        (term,) = engine.phase.terms
        own = [parameter for _, parameter in phase_parameters(method, engine.phase)]
        gradients = torch.autograd.grad(method.losses(batch)[term], own)
        expected = sum(float(gradient.square().sum()) for gradient in gradients) ** 0.5
        engine.step([batch])
        found = gradient_norms(engines)[f"gradient_norm/{engine.phase.name}"]
        assert found == pytest.approx(expected, rel=1e-4)


CHECKS: dict[str, Callable[[Path], None]] = {
    "phases at ZeRO stage 1": partial(duel, zero_stage=1),
    "phases at ZeRO stage 2": partial(duel, zero_stage=2),
    "gradient norms at ZeRO stage 1": partial(norms, zero_stage=1),
    "gradient norms at ZeRO stage 2": partial(norms, zero_stage=2),
    "phases that take turns": taking_turns,
    "resuming": partial(interrupted, config=TINY["hier"]),
    "resuming stage 1": partial(
        interrupted, config=UNIMODAL, batch_of=partial(pretext_batch, seed=None)
    ),
}
