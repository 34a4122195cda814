"""The configuration of a training run."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from tyro.conf import Suppress

from crossray.core.config import Config
from crossray.core.errors import CrossRayError
from crossray.data.corpora.corpus import Pairing
from crossray.data.split import Split
from crossray.data.transforms import AugmentConfig
from crossray.evaluation.protocols.validation import check_select_by
from crossray.methods.config import MethodConfig


@dataclass(frozen=True)
class TokenizerConfig(Config):
    """How texts become token ids.

    Attributes:
        source: `wordpiece` learns a vocabulary from the training split; `hub:ID`, `package:NAME`
            or `path:/absolute/file-or-folder` loads one. That of the text weights, if these are
            pretrained.
        vocab_size: of a vocabulary that is learnt.
        max_tokens: a longer text is cut to this many, special tokens included.
    """

    source: str = "wordpiece"
    vocab_size: int = 8192
    max_tokens: int = 256


@dataclass(frozen=True)
class OptimizerConfig(Config):
    """AdamW, unless a method asks for another optimiser, and the course of the learning rate.

    Attributes:
        lr: the highest learning rate.
        weight_decay: decoupled from the gradient in AdamW, added to it in others.
        betas: decay rates of AdamW's two moments.
        warmup: share of the steps in which the learning rate rises.
        schedule: of the learning rate after the warm-up; `linear` has no warm-up and changes it
            between epochs only.
        final_lr: the last learning rate of `cosine` and `linear`, as a share of `lr`.
    """

    lr: float = 5e-5
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.999)
    warmup: float = 0.1
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    final_lr: float = 0.01


# Parameters that a worker holds in full under ZeRO-3, besides the layer that computes, and
# gradients that it gathers before they are shared out.
GATHERED = 50_000_000


@dataclass(frozen=True)
class DeepSpeedConfig(Config):
    """What DeepSpeed is asked for.

    Attributes:
        zero_stage: what is shared out over the workers: nothing (0), and in turn also the
            optimiser's state (1), the gradients (2) and the parameters (3).
        bf16: compute in bfloat16.
        accumulation: micro-batches an optimiser step.
        gradient_clipping: the largest norm of the gradient; 0 switches clipping off.
        offload_optimizer: keep the optimiser's state in CPU memory.
    """

    zero_stage: Literal[0, 1, 2, 3] = 1
    bf16: bool = False
    accumulation: int = 1
    gradient_clipping: float = 1.0
    offload_optimizer: bool = False

    def zero(self) -> dict[str, object]:
        """DeepSpeed's section on ZeRO."""
        section: dict[str, object] = {"stage": self.zero_stage}
        if self.offload_optimizer:
            section["offload_optimizer"] = {"device": "cpu"}
        if self.zero_stage == 3:
            # By default ten and twenty times as many, more than our largest model has.
            section |= {
                "stage3_max_live_parameters": GATHERED,
                "stage3_max_reuse_distance": GATHERED,
                "stage3_prefetch_bucket_size": GATHERED // 5,
                "reduce_bucket_size": GATHERED,
            }
        return section


@dataclass(frozen=True)
class TrainConfig(Config):
    """How long, on what and how carefully a run trains.

    Attributes:
        batch_size: items a step, over all workers and accumulation steps.
        epochs: passes over the training split, at most.
        images: which images of the training split: those with texts, those without, or both; only
            methods that read no texts take others than the first.
        seed: of the initial weights, the order of the items and the augmentation.
        workers: training processes, each with a GPU if `use_gpu`.
        min_workers: while nodes are missing go on with so few, and with `workers` again once there
            is room; by default a run waits for all of them.
        use_gpu: train on GPUs instead of CPUs.
        cpus_per_worker: CPU cores that Ray reserves for a worker.
        placement: workers on as few nodes as possible, or spread over as many.
        loader_processes: processes a worker that read and augment; 0: the worker does.
        select_by: the metric (mean of both directions) that picks the epoch to keep, or
            `last` to keep the last one: R@10, MRR, mAP@all, mAP@50[found], NDCG@10[graded], ...;
            of methods for image search those that judge by labels, as mAP@10[found]. After
            `hamming:` it judges the codes by their distance. All but R@K and MRR need labels.
        selection: the split that the metric is measured on. `test` makes figures on the test split
            too good; it is there to compare with published figures that were selected that way.
        patience: epochs without a better one after which the run stops.
        validation_items: at most this many items of that split are looked at.
        rerank: candidates a query that get the method's costly scores in validation.
        checkpoint_every: steps between checkpoints.
        max_failures: restarts after a lost worker.
        recompute: keep the inputs of the towers' layers only, and run these again in the backward
            pass: less memory, a third more time.
        compile: compile the towers with torch.compile, which takes minutes at the start.
    """

    batch_size: int = 128
    epochs: int = 10
    images: Pairing = "paired"
    seed: int = 0
    workers: int = 2
    min_workers: int | None = None
    use_gpu: bool = False
    cpus_per_worker: int = 1
    placement: Literal["PACK", "SPREAD"] = "PACK"
    loader_processes: int = 0
    select_by: str = "R@10"
    selection: Literal["validation", "test"] = "validation"
    patience: int = 5
    validation_items: int = 2000
    rerank: int = 50
    checkpoint_every: int = 200
    max_failures: int = 2
    recompute: bool = False
    compile: bool = False

    @property
    def validation_split(self) -> Split:
        """The split that `selection` stands for."""
        return "val" if self.selection == "validation" else "test"


@dataclass(frozen=True)
class Recipe(Config):
    """A full run: the method and everything that trains it.

    `needs_teacher`: what is trained learns from a teacher's outputs.
    """

    needs_teacher: ClassVar[bool] = False
    name: Suppress[str]
    method: MethodConfig
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    deepspeed: DeepSpeedConfig = field(default_factory=DeepSpeedConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    def check(self) -> None:
        """Raises `CrossRayError` for sizes that do not fit each other."""
        share = self.train.workers * self.deepspeed.accumulation
        if self.train.workers < 1 or self.train.epochs < 1 or self.train.batch_size < 2:
            raise CrossRayError(
                "train.workers and train.epochs must be at least 1 and train.batch_size at least "
                "2; correct the recipe's fields."
            )
        if self.train.batch_size % share:
            raise CrossRayError(
                f"train.batch_size={self.train.batch_size} does not divide into train.workers="
                f"{self.train.workers} x deepspeed.accumulation={self.deepspeed.accumulation}; "
                f"choose a multiple of {share}."
            )
        self._check_elastic()
        self._check_measures()
        self._check_unimodal()
        offload = self.deepspeed.offload_optimizer
        if self.train.use_gpu and offload and not self.deepspeed.zero_stage:
            raise CrossRayError(
                "deepspeed.offload_optimizer needs deepspeed.zero_stage of at least 1; raise it."
            )

    def _check_elastic(self) -> None:
        least, most = self.train.min_workers, self.train.workers
        if least is None:
            return
        if not 1 <= least <= most:
            raise CrossRayError(
                f"train.min_workers={least} must lie between 1 and train.workers={most}."
            )
        multiple = math.lcm(*range(least, most + 1)) * self.deepspeed.accumulation
        if self.train.batch_size % multiple:
            raise CrossRayError(
                f"train.batch_size={self.train.batch_size} does not divide into each of {least} to "
                f"{most} workers x deepspeed.accumulation={self.deepspeed.accumulation}; choose a "
                f"multiple of {multiple}, or other bounds."
            )

    def _check_measures(self) -> None:
        if self.train.images != "paired" and "images_only" not in self.method.capabilities:
            raise CrossRayError(
                f"{self.name} learns from texts and train.images={self.train.images!r} has images "
                "without any; choose paired, or a method that reads images only."
            )
        if self.method.capabilities & {"closed_form", "pretext"}:
            return
        images = "image_search" in self.method.capabilities
        try:
            check_select_by(self.train.select_by, images, "codes" in self.method.capabilities)
        except CrossRayError as error:
            usual = "mAP@10[found]" if images else "R@10 or mAP@all"
            raise CrossRayError(
                f"train.select_by={self.train.select_by!r} is not measured for {self.method.name} "
                f"({str(error).rstrip('.')}); choose {usual}, or last."
            ) from error

    def lr_factor(self, step: int, steps: int) -> float:
        """The `linear` schedule: the share of `lr` at a step of `steps`, the same in an epoch."""
        last = self.train.epochs - 1
        epoch = min(step * self.train.epochs // steps, last)
        return 1.0 + (self.optimizer.final_lr - 1.0) * epoch / max(1, last)

    def _check_unimodal(self) -> None:
        can, engine = self.method.capabilities, self.deepspeed
        if "pretext" not in can:
            return
        if self.train.select_by != "last":
            raise CrossRayError(
                f"{self.name} has no pairs to select an epoch by; set train.select_by to last."
            )
        if "slow_encoder" in can and (engine.bf16 or engine.zero_stage == 3):
            raise CrossRayError(
                "the slow encoder of contrast needs whole weights in float32, of which it takes "
                "thousandths; switch deepspeed.bf16 off and set deepspeed.zero_stage to 2 or less."
            )

    def deepspeed_dict(
        self, steps: int, lr_scale: float = 1.0, kind: str = "AdamW"
    ) -> dict[str, object]:
        """The DeepSpeed configuration of a phase that takes `steps` optimiser steps in all."""
        optimizer, engine = self.optimizer, self.deepspeed
        lr = optimizer.lr * lr_scale
        parameters: dict[str, object] = {"lr": lr, "weight_decay": optimizer.weight_decay}
        if kind == "AdamW":
            parameters["betas"] = list(optimizer.betas)
            if not self.train.use_gpu:
                # On CPUs DeepSpeed's Adam wants offloading; torch's has a fast kernel if asked.
                parameters |= {"torch_adam": True, "fused": True}
        config: dict[str, object] = {
            "train_batch_size": self.train.batch_size,
            "gradient_accumulation_steps": engine.accumulation,
            "gradient_clipping": engine.gradient_clipping,
            "optimizer": {"type": kind, "params": parameters},
            "bf16": {"enabled": engine.bf16},
            "zero_optimization": engine.zero(),
            "zero_allow_untested_optimizer": True,
            "steps_per_print": 10**9,
            "wall_clock_breakdown": False,
        }
        if optimizer.schedule != "linear":
            config["scheduler"] = _warm_up(optimizer, steps)
        return config


def _warm_up(optimizer: OptimizerConfig, steps: int) -> dict[str, object]:
    return {
        "type": "WarmupCosineLR",
        "params": {
            "total_num_steps": steps,
            "warmup_num_steps": max(2, round(optimizer.warmup * steps)),
            "warmup_min_ratio": 0.01,
            "cos_min_ratio": optimizer.final_lr if optimizer.schedule == "cosine" else 1.0,
            "warmup_type": "linear",
        },
    }
