"""MMACH while it is trained: the label network and the outputs of all training rows."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from crossray.core.distributed import gather
from crossray.core.errors import CrossRayError
from crossray.core.types import Batch
from crossray.methods.contract import Phase, TrainingSet, Wrapped
from crossray.methods.mmach import objective
from crossray.methods.mmach.config import MmachConfig
from crossray.methods.mmach.label_features import enhanced_labels, fixed_map, label_features
from crossray.methods.mmach.losses import common_codes, label_cosine_loss
from crossray.methods.mmach.model import Mmach
from crossray.methods.mmach.networks import label_network
from crossray.methods.mmach.triplets import Triplets, draw_triplets

NETWORKS = ("label", "image", "text")


class MmachTraining(Wrapped[Batch]):
    """Algorithm 1: passes over the training split update the three networks in turn.

    While one is updated, the outputs of the other two are read from tables with a row for every
    training item, which are refreshed as items are seen. The tables and the label network belong to
    training; what is published is the `method`.
    """

    config: MmachConfig
    labels_NC: Tensor
    label_features_UW: Tensor
    label_set_N: Tensor
    image_map_CW: Tensor
    label_NK: Tensor
    image_NK: Tensor
    text_NK: Tensor
    codes_NK: Tensor
    updating: Tensor
    draws: Tensor
    skipped: Tensor

    def __init__(self, method: Mmach, training: TrainingSet) -> None:
        super().__init__()
        labels_NC, width = training.labels_NC, method.text_tower.width
        if labels_NC is None or not labels_NC.any():
            raise CrossRayError(
                "no item of the training split carries a label, so there is nothing for MMACH to "
                "learn from; give a training split with labels."
            )
        self.method, self.seed = method, training.seed
        self.label_network = label_network(width, method.config.label_hidden, method.config.bits)
        self._scale = objective.Scale(method.config.weight, len(labels_NC), method.config.bits)
        features_UW, set_N = label_features(method, training)
        self.register_buffer("labels_NC", labels_NC, persistent=False)
        self.register_buffer("label_features_UW", features_UW, persistent=False)
        self.register_buffer("label_set_N", set_N, persistent=False)
        map_CW = fixed_map(method.image_tower.channels, width, training.seed)
        self.register_buffer("image_map_CW", map_CW, persistent=False)
        draws = torch.Generator().manual_seed(training.seed)
        for modality in NETWORKS:
            outputs_NK = torch.randn(len(labels_NC), method.config.bits, generator=draws).tanh()
            self.register_buffer(f"{modality}_NK", outputs_NK)
        self.register_buffer("codes_NK", common_codes(self.image_NK, self.text_NK, self.label_NK))
        for counter in ("updating", "draws", "skipped"):
            self.register_buffer(counter, torch.zeros((), dtype=torch.int64))

    def published_method(self) -> Mmach:
        """The hash networks of images and texts."""
        return self.method

    def phases(self) -> tuple[Phase, ...]:
        """One pass for each of the three networks; a tower that learns does so with its network."""
        kind = self.config.optimizer
        return (
            Phase("label", ("label_network.",), optimizer=kind, turn="epoch"),
            Phase("image", _of_method("image"), optimizer=kind, turn="epoch"),
            Phase("text", _of_method("text"), optimizer=kind, turn="epoch"),
        )

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The terms of all phases, each with the outputs of its network live."""
        terms: dict[str, Tensor] = {}
        for phase in self.phases():
            terms |= self.phase_losses(phase, batch)
        return terms

    def phase_losses(self, phase: Phase, batch: Batch) -> dict[str, Tensor]:
        """Equation 10 in the outputs of the phase's network; its terms bear the phase's name.

        In training mode the table of these outputs is refreshed.
        """
        assert batch.rows_B is not None
        rows_B = gather(batch.rows_B)
        self._begin(phase)
        live_BK = gather(self._outputs(phase.name, batch))
        tables = {modality: getattr(self, f"{modality}_NK") for modality in NETWORKS}
        tables[phase.name] = tables[phase.name].index_copy(0, rows_B, live_BK)
        if self.training:
            getattr(self, f"{phase.name}_NK").index_copy_(0, rows_B, live_BK.detach())
        terms = {
            f"{phase.name}_{other}": self._bridge(other, phase.name, tables, rows_B)
            for other in ("image", "text")
            if phase.name in ("label", other)
        }
        terms[f"{phase.name}_quantisation"] = objective.common_code_loss(
            self.codes_NK, tables[phase.name], rows_B, self.config.alpha, self._scale
        )
        if self.training:
            self.draws += 1
        return terms

    def observations(self) -> dict[str, float]:
        """Anchors that got no triplet in this pass."""
        return {"skipped_anchors": float(self.skipped)}

    def _begin(self, phase: Phase) -> None:
        """At the turn of a phase the count starts anew; at the first one's the codes do too (7)."""
        turn = NETWORKS.index(phase.name)
        if not self.training or turn == int(self.updating):
            return
        if turn == 0:
            self.codes_NK = common_codes(self.image_NK, self.text_NK, self.label_NK)
        self.updating.fill_(turn)
        self.skipped.zero_()

    def _outputs(self, modality: str, batch: Batch) -> Tensor:
        if modality == "image":
            return self.method.image_outputs(batch.image)
        if modality == "text":
            return self.method.text_outputs(batch.text)
        outputs_BK: Tensor = self.label_network(self.label_inputs(batch))
        return outputs_BK

    def label_inputs(self, batch: Batch) -> Tensor:
        """`H^A`, or `H^E` without the attention; z_BW."""
        assert batch.rows_B is not None
        label_BW = self.label_features_UW[self.label_set_N[batch.rows_B]]
        with torch.no_grad(), _in_eval_mode(self.image_tower, self.text_tower):
            image_BW = self.method.image_features(batch.image)
            text_BW = self.method.text_features(batch.text)
        if image_BW.shape[1] != label_BW.shape[1]:
            image_BW = image_BW @ self.image_map_CW
        features = [label_BW, image_BW, text_BW]
        if self.config.l2_inputs:
            features = [functional.normalize(x, dim=1, eps=1e-12) for x in features]
        return enhanced_labels(*features) if self.config.attention else features[0]

    def _bridge(self, other: str, live: str, tables: dict[str, Tensor], rows_B: Tensor) -> Tensor:
        """Equation 5 or 6 with the labels and images or texts, or what MMACH-MSE has there."""
        label_NK, other_NK = tables["label"], tables[other]
        if self.config.objective == "mse":
            live_BK = tables[live][rows_B]
            other_side_NK = other_NK if live == "label" else label_NK
            return label_cosine_loss(live_BK, other_side_NK, self.labels_NC[rows_B], self.labels_NC)
        gammas = self.config.gammas
        of_label = self._draw(rows_B, live != "label", f"label {other}")
        of_other = self._draw(rows_B, live == "label", f"{other} label")
        loss, margins = (
            (objective.image_label_loss, gammas[:2])
            if other == "image"
            else (objective.text_label_loss, gammas[2:])
        )
        return loss(label_NK, other_NK, of_label, of_other, margins, self._scale)

    def _draw(self, rows_B: Tensor, within_batch: bool, of: str) -> Triplets:
        """Triplets of the batch's rows; only outputs that were just computed can learn as b, c."""
        rows_N = torch.arange(len(self.labels_NC), device=rows_B.device)
        rng = np.random.default_rng((self.seed, int(self.draws), *of.encode()))
        candidates_M = rows_B if within_batch else rows_N
        triplets = draw_triplets(self.labels_NC, rows_B, candidates_M, rng, self.config.tries)
        if self.training:
            self.skipped += triplets.skipped
        return triplets


def _of_method(modality: str) -> tuple[str, ...]:
    return (f"method.{modality}_network.", f"method.{modality}_tower.")


@contextmanager
def _in_eval_mode(*towers: torch.nn.Module) -> Iterator[None]:
    """Towers that only look: without dropout, and with their running statistics left alone."""
    modes = [tower.training for tower in towers]
    for tower in towers:
        tower.eval()
    try:
        yield
    finally:
        for tower, mode in zip(towers, modes, strict=True):
            tower.train(mode)
