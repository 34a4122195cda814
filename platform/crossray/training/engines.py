"""One DeepSpeed engine a phase: the only place that steps an optimiser."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from crossray.core.distributed import rank
from crossray.core.errors import CrossRayError
from crossray.methods.contract import Phase, Trainable
from crossray.methods.recipe import Recipe
from crossray.training import engine_state


class _PhaseModule(nn.Module):
    """The method as a phase sees it: its forward pass is the phase's loss terms."""

    def __init__(self, method: Trainable[Any], phase: Phase) -> None:
        super().__init__()
        self.method, self.phase = method, phase

    def forward(self, batch: Any) -> dict[str, Tensor]:
        return self.method.phase_losses(self.phase, batch)


class PhaseEngine:
    """A phase of a method with its DeepSpeed engine."""

    def __init__(self, method: Trainable[Any], phase: Phase, recipe: Recipe, steps: int) -> None:
        deepspeed = _deepspeed()
        self.phase, self.method = phase, method
        parameters = self._parameters = phase_parameters(method, phase)
        trained = {name for name, _ in parameters}
        self._others = [
            p for name, p in method.named_parameters() if p.requires_grad and name not in trained
        ]
        linear = recipe.optimizer.schedule == "linear"
        with redirect_stdout(StringIO()):  # every worker prints what it has compiled
            self.engine, _, _, _ = deepspeed.initialize(
                model=_PhaseModule(method, phase),
                model_parameters=_groups(
                    parameters, recipe.optimizer.weight_decay if phase.decayed else 0.0
                ),
                config=recipe.deepspeed_dict(steps, phase.lr_scale, phase.optimizer),
                lr_scheduler=partial(_linear, recipe, steps) if linear else None,
                dist_init_required=False,
            )
        if not linear:
            # DeepSpeed's schedule starts at its first step; before, the learning rate is 0.
            self.engine.lr_scheduler.step()

    def step(self, micro_batches: Sequence[Any]) -> dict[str, Tensor]:
        """One optimiser step over its micro-batches; the terms' means, detached."""
        sums: dict[str, Tensor] = {}
        self.engine.train()
        with _without_gradient(self._others):
            for batch in micro_batches:
                terms = self.engine(batch.to(self.engine.device, self.dtype))
                self.engine.backward(torch.stack(list(terms.values())).sum())
                self.engine.step()
                for name, value in terms.items():
                    sums[name] = sums.get(name, 0.0) + value.detach().float() / len(micro_batches)
        return sums

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type the engine computes in."""
        return torch.bfloat16 if self.engine.bfloat16_enabled() else torch.float32

    @property
    def lr(self) -> float:
        """The learning rate of the next step."""
        return float(self.engine.get_lr()[0])

    @property
    def gradient_norm(self) -> float | None:
        """Of the last step, over all workers and before clipping; None where it is not known."""
        norm = self.engine.get_global_grad_norm()
        return None if norm is None else float(norm)

    def save(self, folder: Path) -> None:
        """Write moments and schedule under the phase's name; every process calls it."""
        parts = engine_state.optimizer_parts(self.engine)
        for part in parts:
            self._save_part(part, folder)
        if rank() == 0:
            clock = json.dumps({**engine_state.clock_of(self.engine), "parts": parts})
            (folder / f"{self.phase.name}.json").write_text(clock, encoding="utf-8")

    def _save_part(self, part: str, folder: Path) -> None:
        state = engine_state.full_part(self.engine, self._parameters, part)
        if rank() == 0:
            save_file(state, folder / self._file(part))

    def load(self, folder: Path) -> None:
        """Read back what `save` wrote, with as many processes as there are now."""
        name = self.phase.name
        if not (folder / f"{name}.json").is_file():
            raise CrossRayError(
                f"the checkpoint {folder} has no phase {name!r}; "
                "give the run another name so that it starts anew."
            )
        clock = json.loads((folder / f"{name}.json").read_text("utf-8"))
        for part in clock["parts"]:
            state = load_file(folder / self._file(part))
            engine_state.restore_part(self.engine, self._parameters, part, state)
        engine_state.restore_clock(self.engine, clock)

    def _file(self, part: str) -> str:
        return f"{self.phase.name}.{part}.safetensors"


def _deepspeed() -> Any:
    """DeepSpeed, whose import takes seconds; only training processes need it.

    For an autotuner that nobody asks for it imports MLflow too, seconds more, so that is out of its
    sight meanwhile.
    """
    hidden = "mlflow" not in sys.modules
    if hidden:
        sys.modules["mlflow"] = None  # type: ignore[assignment]
    try:
        import deepspeed
    finally:
        if hidden:
            del sys.modules["mlflow"]
    return deepspeed


def engines_of(method: Trainable[Any], recipe: Recipe, steps: int) -> list[PhaseEngine]:
    """An engine a phase; phases that take turns share out the `steps` of a run."""
    return [
        PhaseEngine(
            method,
            phase,
            recipe,
            steps // passes_per_epoch(method) if phase.turn == "epoch" else steps,
        )
        for phase in method.phases()
    ]


def passes_per_epoch(method: Trainable[Any]) -> int:
    """How many passes over the training split make an epoch."""
    return max(1, sum(phase.turn == "epoch" for phase in method.phases()))


def active_engines(engines: Sequence[PhaseEngine], number: int) -> list[PhaseEngine]:
    """The engines that step in a pass over the training split, by the pass' number in the run."""
    turns = [engine for engine in engines if engine.phase.turn == "epoch"]
    its_turn = turns[number % len(turns)] if turns else None
    return [engine for engine in engines if engine.phase.turn == "step" or engine is its_turn]


def gradient_norms(engines: Sequence[PhaseEngine]) -> dict[str, float]:
    """The norm of each phase's gradient at its last step, as scalars to log."""
    known = ((engine.phase.name, engine.gradient_norm) for engine in engines)
    return {f"gradient_norm/{name}": norm for name, norm in known if norm is not None}


def _linear(recipe: Recipe, steps: int, optimizer: torch.optim.Optimizer) -> LambdaLR:
    return LambdaLR(optimizer, lambda step: recipe.lr_factor(step, steps))


@contextmanager
def _without_gradient(parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    """Other phases' parameters take part in the forward pass and stay untouched by the backward."""
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


def phase_parameters(method: Trainable[Any], phase: Phase) -> list[tuple[str, nn.Parameter]]:
    """The trainable parameters of a phase, with their names."""
    return [
        (name, parameter)
        for name, parameter in method.named_parameters()
        if parameter.requires_grad and (not phase.parameters or name.startswith(phase.parameters))
    ]


def _groups(
    parameters: list[tuple[str, nn.Parameter]], weight_decay: float
) -> list[dict[str, Any]]:
    """Biases, norms and scalars (fewer than two dimensions) are not decayed."""
    decayed = [p for _, p in parameters if p.ndim >= 2]
    plain = [p for _, p in parameters if p.ndim < 2]
    groups = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
