"""HIER stage 2: the model, its three level losses and the gated loss."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from crossray.core.distributed import gather, gather_ragged
from crossray.core.types import Batch, ImageBatch, Representation, TextBatch
from crossray.encoders.heads import PartProjection, projection_head
from crossray.encoders.image import ImageTower
from crossray.encoders.text import TextTower, pool
from crossray.losses.hard_negatives import bidirectional_ranking_loss
from crossray.losses.info_nce import symmetric_info_nce
from crossray.methods import contract
from crossray.methods.hier import fusion, regions, scores
from crossray.methods.hier.config import LEVELS, HierConfig, Level
from crossray.methods.hier.losses import log_variances, uncertainty_weighted

_RAGGED = ("words", "word_mask", "sentences", "sentence_mask")


class Hier(contract.Trainable[Batch]):
    """Alignment of regions with words, structures with sentences and image with text."""

    config: HierConfig

    def __init__(self, config: HierConfig, load_weights: bool = True) -> None:
        super().__init__()
        self.config = config
        self.image_tower = ImageTower(config.image, load_weights)
        self.text_tower = TextTower(config.text, load_weights)
        channels, width = self.image_tower.channels, self.text_tower.width
        heads = (config.hidden, config.embedding, config.dropout)
        self.image_head = projection_head(channels * config.pooled_side**2, *heads, batch_norm=True)
        self.text_head = projection_head(width, *heads, batch_norm=True)
        local = config.local_dropout
        if config.reads_parts:
            # A region's place: a vector a cell of the grids, or a linear map of its corners.
            cells = sum(side * side for side in config.grids)
            places = cells if config.regions == "grid" else 4
            self.region_projection = PartProjection(channels, config.embedding, local)
            self.region_position = nn.Parameter(torch.zeros(places, config.embedding))
            self.word_projection = PartProjection(width, config.embedding, local)
        if config.reads_structures:
            self.structure_projection = PartProjection(channels, config.structure_width, local)
            # A structure's place, likewise: a vector a zone, or a linear map of a mask's corners.
            places = len(regions.ZONES) if config.structures == "zones" else 4
            self.structure_name = nn.Parameter(torch.zeros(places, config.structure_width))
            self.sentence_projection = PartProjection(width, config.structure_width, local)
            self.co_attention = scores.CoAttention(
                config.structure_width, config.structure_heads, config.structure_feed_forward
            )
        used = [config.level_weights[LEVELS.index(level)] for level in config.levels]
        self.log_variance = nn.Parameter(
            log_variances(used), requires_grad=config.level_weighting == "uncertainty"
        )
        self.logit_scale = nn.ParameterDict(
            {level: contract.logit_scale_parameter(config.temperature) for level in config.info_nce}
        )
        if config.fusion is not None:
            self.fusion = fusion.FusionScorer(
                config.fusion, config.embedding, config.fusion_scoring
            )
        if config.gate:
            self.gate = nn.Linear(config.embedding, len(config.levels))
            nn.init.zeros_(self.gate.weight)
            nn.init.zeros_(self.gate.bias)

    def encode_image(self, image: ImageBatch) -> Tensor:
        """`z_BD`: the global embedding, `p_v(pool(V))`, unit length."""
        return self._global_image(self.image_grid(image))

    def encode_text(self, text: TextBatch) -> Tensor:
        """`z_BD`: the global embedding, `p_t(h)`, unit length."""
        return self._global_text(self.text_states(text), text)

    def _global_image(self, grid_BCYX: Tensor) -> Tensor:
        cells_BCYX = functional.adaptive_avg_pool2d(grid_BCYX, self.config.pooled_side)
        return functional.normalize(self.image_head(cells_BCYX.flatten(1)), dim=-1)

    def _global_text(self, states_BTD: Tensor, text: TextBatch) -> Tensor:
        pooled_BD = pool(states_BTD, text.mask_BT, self.config.text_pooling)
        return functional.normalize(self.text_head(pooled_BD), dim=-1)

    def represent_image(self, image: ImageBatch) -> Representation:
        """`z`, `regions` (unit length) and `structures` of each image, with their masks."""
        grid_BCYX = self.image_grid(image)
        parts = {"z": self._global_image(grid_BCYX)}
        if self.config.reads_parts:
            parts |= self._regions(grid_BCYX, image)
        if self.config.reads_structures:
            parts |= self._structures(grid_BCYX, image)
        return parts

    def _regions(self, grid_BCYX: Tensor, image: ImageBatch) -> Representation:
        if self.config.regions == "grid":
            regions_BRC = regions.grid_regions(grid_BCYX, self.config.grids)
            mask_BR = regions_BRC.new_ones(regions_BRC.shape[:2], dtype=torch.bool)
            regions_BRD = self.region_projection(regions_BRC) + self.region_position
        else:
            if self.config.regions == "boxes":
                corners_BR4, mask_BR = regions.boxes_with_whole(image)
                regions_BRC = regions.box_regions(grid_BCYX, corners_BR4)
            else:
                regions_BRC, corners_BR4, mask_BR = _masked(grid_BCYX, image)
            place_BRD = corners_BR4.to(grid_BCYX.dtype) @ self.region_position
            regions_BRD = self.region_projection(regions_BRC, mask_BR) + place_BRD
        return {"regions": functional.normalize(regions_BRD, dim=-1), "region_mask": mask_BR}

    def _structures(self, grid_BCYX: Tensor, image: ImageBatch) -> Representation:
        if self.config.structures == "zones":
            projected_BOD = self.structure_projection(regions.zone_structures(grid_BCYX))
            return {"structures": projected_BOD + self.structure_name}
        structures_BOC, corners_BO4, mask_BO = _masked(grid_BCYX, image)
        place_BOD = corners_BO4.to(grid_BCYX.dtype) @ self.structure_name
        projected_BOD = self.structure_projection(structures_BOC, mask_BO)
        return {"structures": projected_BOD + place_BOD, "structure_mask": mask_BO}

    def represent_text(self, text: TextBatch) -> Representation:
        """`z`, `words` (unit length) and `sentences` of each text, with their masks."""
        states_BTD = self.text_states(text)
        parts = {"z": self._global_text(states_BTD, text)}
        if self.config.reads_parts:
            parts["word_mask"] = text.sentence_BT >= 0
            words_BTD = self.word_projection(states_BTD, parts["word_mask"])
            parts["words"] = functional.normalize(words_BTD, dim=-1)
        if self.config.reads_structures:
            sentences_BSD, mask_BS = regions.sentence_means(states_BTD, text.sentence_BT)
            parts["sentences"] = self.sentence_projection(sentences_BSD, mask_BS)
            parts["sentence_mask"] = mask_BS
        return parts

    def alignment(self, image: ImageBatch, text: TextBatch) -> contract.Alignment | None:
        """Which cells of the grids each word attends at level 1; see `Encoder.alignment`."""
        if "region_word" not in self.config.levels or self.config.regions != "grid":
            return None
        grid_BCYX = self.image_grid(image)
        regions_BRD = self._regions(grid_BCYX, image)["regions"]
        words = self.represent_text(text)
        weight_BWR = scores.region_word_attention(
            regions_BRD, words["words"], words["word_mask"], self.config.smoothing
        )
        return contract.Alignment(
            regions.region_maps(weight_BWR, self.config.grids, grid_BCYX.shape[2])
        )

    def score(self, images: Representation, texts: Representation) -> contract.PairScores:
        """The gated sum of levels 1 and 3 for all pairs; `refine` adds level 2 to chosen pairs.

        When level 2 is the only one, it is scored for all pairs.
        """
        levels_LBC = torch.stack(
            [
                self.level_scores(level, images, texts)
                if level != "structure_sentence" or not self.refines
                else images["z"].new_zeros(len(images["z"]), len(texts["z"]))
                for level in self.config.levels
            ]
        )
        return self._gated(levels_LBC, images["z"], texts["z"])

    @property
    def refines(self) -> bool:
        """Whether level 2 is left to `refine`."""
        return self.config.reads_structures and len(self.config.levels) > 1

    def refine(
        self, images: Representation, texts: Representation, pairs_P2: Tensor
    ) -> contract.PairScores | None:
        """What level 2 and the fusion add to the chosen pairs' scores; see `Encoder.refine`."""
        added = []
        if self.refines:
            added.append(self._refined(images, texts, pairs_P2))
        if self.config.fusion is not None:
            fused_P = self.config.fusion_weight * self._fused(images, texts, pairs_P2)
            added.append(contract.PairScores(fused_P, fused_P))
        if not added:
            return None
        return contract.PairScores(
            *(torch.stack(parts).sum(dim=0) for parts in zip(*added, strict=True))
        )

    def _refined(
        self, images: Representation, texts: Representation, pairs_P2: Tensor
    ) -> contract.PairScores:
        added_P = self._structure_sentence(images, texts, pairs_P2)
        image, text = pairs_P2.unbind(dim=1)
        level = self.config.levels.index("structure_sentence")
        return contract.PairScores(
            self.gate_weights(images["z"])[image, level] * added_P,
            self.gate_weights(texts["z"])[text, level] * added_P,
        )

    def _fused(self, images: Representation, texts: Representation, pairs_P2: Tensor) -> Tensor:
        return fusion.fusion_scores(
            self.fusion,
            fusion.Side(images["z"], images["regions"], images["region_mask"]),
            fusion.Side(texts["z"], texts["words"], texts["word_mask"]),
            pairs_P2,
            self.config.pair_block,
        )

    def level_scores(self, level: Level, images: Representation, texts: Representation) -> Tensor:
        """`scores_BC` of one level for all pairs."""
        if level == "global":
            return scores.global_scores(images["z"], texts["z"])
        if level == "region_word":
            return scores.region_word_scores(
                images["regions"],
                texts["words"],
                texts["word_mask"],
                self.config.smoothing,
                self.config.both_directions,
                images["region_mask"] if self.config.regions != "grid" else None,
            )
        pairs_P2 = scores.all_pairs(images, texts)
        return self._structure_sentence(images, texts, pairs_P2).view(len(images["z"]), -1)

    def _structure_sentence(
        self, images: Representation, texts: Representation, pairs_P2: Tensor
    ) -> Tensor:
        return scores.structure_sentence_scores(
            self.co_attention,
            images["structures"],
            texts["sentences"],
            texts["sentence_mask"],
            pairs_P2,
            self.config.smoothing,
            self.config.pair_block,
            images.get("structure_mask"),
        )

    def gate_weights(self, query_BD: Tensor) -> Tensor:
        """`g(q) = softmax(W q + b)`, `gate_BL`; uniform without a gate."""
        if self.config.gate:
            return torch.softmax(self.gate(query_BD), dim=-1)
        levels = len(self.config.levels)
        return query_BD.new_full((len(query_BD), levels), 1 / levels)

    def _gated(self, levels_LBC: Tensor, image_BD: Tensor, text_CD: Tensor) -> contract.PairScores:
        text_to_image_CB = scores.gated(levels_LBC.mT, self.gate_weights(text_CD))
        return contract.PairScores(
            scores.gated(levels_LBC, self.gate_weights(image_BD)), text_to_image_CB.T
        )

    def level_weights(self) -> dict[Level, float]:
        """The weights of the level losses as they stand."""
        weights = torch.exp(-self.log_variance).tolist()
        return dict(zip(self.config.levels, weights, strict=True))

    def observations(self) -> dict[str, float]:
        """`level_weights`, by name."""
        return {f"level_weight/{level}": w for level, w in self.level_weights().items()}

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """One weighted ranking loss a level, one on the gated score, one on the fusion's.

        Each process scores its images against all texts; the rows are gathered, so that every
        level is one full matrix over the gathered batch.
        """
        images = self.represent_image(batch.image)
        texts = {
            name: gather_ragged(part) if name in _RAGGED else gather(part)
            for name, part in self.represent_text(batch.text).items()
        }
        same_BB = contract.same_study(gather(batch.keys_B))
        rows_BLC = torch.stack(
            [self.level_scores(level, images, texts) for level in self.config.levels], dim=1
        )
        levels_LBB = gather(rows_BLC).transpose(0, 1)
        terms: dict[str, Tensor] = {}
        for number, level in enumerate(self.config.levels):
            if level in self.config.info_nce:
                scale = contract.logit_scale(self.logit_scale[level])
                loss = symmetric_info_nce(scale * levels_LBB[number], same_BB)
            else:
                loss = self._ranking_loss(levels_LBB[number], levels_LBB[number], same_BB)
            terms[level] = self._weighted(loss, number)
        if self.config.gate and self.config.loss_on_gated:
            gated_scores = self._gated(levels_LBB, gather(images["z"]), texts["z"])
            terms["gated"] = self.config.loss_on_gated * self._ranking_loss(*gated_scores, same_BB)
        if self.config.fusion is not None:
            fused_P = self._fused(images, texts, scores.all_pairs(images, texts))
            fused_BB = gather(fused_P.view(len(images["z"]), -1))
            terms["fusion"] = self._ranking_loss(fused_BB, fused_BB, same_BB)
        return terms

    def _ranking_loss(
        self, image_to_text_BB: Tensor, text_to_image_BB: Tensor, same_BB: Tensor
    ) -> Tensor:
        return bidirectional_ranking_loss(
            image_to_text_BB,
            text_to_image_BB.T,
            same_BB,
            self.config.margin,
            self.config.hard_negatives,
        )

    def _weighted(self, loss: Tensor, number: int) -> Tensor:
        if self.config.level_weighting == "uncertainty":
            return uncertainty_weighted(loss, self.log_variance[number])
        return torch.exp(-self.log_variance[number]) * loss


def _masked(grid_BCYX: Tensor, image: ImageBatch) -> tuple[Tensor, Tensor, Tensor]:
    """Means over the masks of images, `means_BRC`, their `corners_BR4` and which are real."""
    masks_BRYX, real_BR = regions.masks_with_whole(image)
    return regions.mask_regions(grid_BCYX, masks_BRYX), regions.mask_corners(masks_BRYX), real_BR
