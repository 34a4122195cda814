"""CMFG: the dual first stage, the pairwise re-ranker and their losses."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from crossray.core.distributed import gather, gather_ragged
from crossray.core.errors import CrossRayError
from crossray.core.types import Batch, ImageBatch, Representation, TextBatch
from crossray.encoders.heads import PartProjection
from crossray.encoders.image import ImageTower
from crossray.encoders.text import TextTower
from crossray.losses.hard_negatives import ranking_loss
from crossray.losses.info_nce import symmetric_info_nce
from crossray.methods import contract
from crossray.methods.cmfg.graph import Edges, all_scores
from crossray.methods.cmfg.network import GraphNetwork, Nodes, pair_edges, pairwise_scores
from crossray.methods.config import MethodConfig

ScoreStage = Literal["dual", "pairwise"]
_RAGGED = ("tokens", "token_mask")


@dataclass(frozen=True)
class CmfgConfig(MethodConfig):
    """CMFG (docs/methods/cmfg.md).

    Attributes:
        grid: side of the grid of patches, the feature map averaged; None keeps the full map.
        projection: of nodes into the shared space: linear, or linear and normalised over the batch.
        dropout: probability, before the projections.
        edges: of a pair's graph: all of them, or those between patches and tokens only.
        edge_mode: edge weights from the first states, or computed anew in every layer.
        layer: as printed, or with a residual and LayerNorm.
        layers: K, graph convolutions.
        key_width: d_k, of an attention head.
        heads: attention heads, averaged.
        per_edge_type: separate W_Q and W_K for each of the four types of edges.
        pooling: of the nodes into an embedding.
        mode: embeddings of single items, scores from a graph a pair, or both.
        reranked: what a re-ranked pair scores: its graph's score, or that and the first
            stage's in sum.
        candidates: pairs that `pairwise` learns from in mode `both`: each query's best of the batch
            by the first stage, the right one included; None for every pair.
        pair_block: pairs computed at a time.
        loss: InfoNCE, or the margin against the hardest negative of VSE++ (Faghri et al. 2018).
        temperature: tau of InfoNCE.
        learn_temperature: learn it from there, one each for the two stages.
        margin: m of VSE++.
        tower_lr: learning rate of towers that are not frozen, relative to the rest's.
    """

    name: ClassVar[str] = "cmfg"
    grid: int | None = None
    projection: Literal["linear", "normalised"] = "linear"
    dropout: float = 0.0
    edges: Edges = "full"
    edge_mode: Literal["static", "dynamic"] = "static"
    layer: Literal["faithful", "residual_ln"] = "faithful"
    layers: int = 2
    key_width: int = 64
    heads: int = 1
    per_edge_type: bool = False
    pooling: Literal["mean", "attention"] = "mean"
    mode: Literal["dual", "pairwise", "both"] = "both"
    reranked: Literal["pairwise", "sum"] = "pairwise"
    candidates: int | None = None
    pair_block: int = 1024
    loss: Literal["info_nce", "vse++"] = "info_nce"
    temperature: float = 0.07
    learn_temperature: bool = False
    margin: float = 0.2
    tower_lr: float = 0.1

    def __post_init__(self) -> None:
        grid = 1 if self.grid is None else self.grid
        if min(self.layers, self.heads, self.key_width, self.pair_block, grid) < 1:
            raise CrossRayError(
                "layers, heads, key_width, pair_block and grid of CMFG count from 1; raise the "
                "one that is lower."
            )
        if self.candidates is not None and (self.mode != "both" or self.candidates < 1):
            raise CrossRayError(
                f"candidates={self.candidates} with mode={self.mode!r}: the first stage chooses "
                "them, 1 or more a query, in mode 'both'; leave candidates out, or use that mode."
            )

    def build(self, load_weights: bool = True) -> "Cmfg":
        """See `MethodConfig.build`."""
        return Cmfg(self, load_weights)

    def map_side(self, full: int) -> int:
        """The smallest side that the grid of patches divides and that divides the map's."""
        if self.grid is None:
            return full
        step = self.grid
        return next((side for side in range(step, full, step) if full % side == 0), full)

    @property
    def stages(self) -> tuple[ScoreStage, ...]:
        """The stages that the mode trains, in the order in which they rank."""
        return ("dual", "pairwise") if self.mode == "both" else (self.mode,)


class Cmfg(contract.Trainable[Batch]):
    """Patches and sub-words as nodes of a graph whose edges are attention."""

    config: CmfgConfig

    def __init__(self, config: CmfgConfig, load_weights: bool = True) -> None:
        super().__init__()
        self.config = config
        self.image_tower = ImageTower(config.image, load_weights)
        self.text_tower = TextTower(config.text, load_weights)
        project = PartProjection if config.projection == "normalised" else NodeProjection
        size = (config.embedding, config.dropout)
        self.patch_projection = project(self.image_tower.channels, *size)
        self.token_projection = project(self.text_tower.width, *size)
        self.graph = GraphNetwork(
            config.embedding,
            config.layers,
            config.key_width,
            config.heads,
            config.per_edge_type,
            residual_norm=config.layer == "residual_ln",
            dynamic=config.edge_mode == "dynamic",
            attention_pooling=config.pooling == "attention",
        )
        self.logit_scale = nn.ParameterDict(
            {
                stage: contract.logit_scale_parameter(config.temperature).requires_grad_(
                    config.learn_temperature
                )
                for stage in config.stages
                if config.loss == "info_nce"
            }
        )

    def phases(self) -> tuple[contract.Phase, ...]:
        """Graph and projections; towers that learn at another rate have a separate phase."""
        towers = {"image_tower.": self.image_tower, "text_tower.": self.text_tower}
        learning = tuple(
            name
            for name, tower in towers.items()
            if any(parameter.requires_grad for parameter in tower.parameters())
        )
        if not learning or self.config.tower_lr == 1:
            return (contract.Phase(),)
        rest = ("patch_projection.", "token_projection.", "graph.", "logit_scale.")
        return contract.Phase("graph", rest), contract.Phase(
            "towers", learning, lr_scale=self.config.tower_lr
        )

    def encode_image(self, image: ImageBatch) -> Tensor:
        """`z_BD`: the pooled nodes of the graph of the image alone, unit length (mode `dual`)."""
        self._check_indexable()
        return self.represent_image(image)["z"]

    def encode_text(self, text: TextBatch) -> Tensor:
        """`z_BD`: the pooled nodes of the graph of the text alone, unit length (mode `dual`)."""
        self._check_indexable()
        return self.represent_text(text)["z"]

    def _check_indexable(self) -> None:
        if self.config.mode == "pairwise":
            raise CrossRayError(
                "CMFG in mode 'pairwise' has no embedding of an image or a text alone, for it "
                "reads both at once; train it with --method.mode both."
            )

    def represent_image(self, image: ImageBatch) -> Representation:
        """`patches`, h^(0), and `z`, the embedding by the graph of the image alone."""
        patches_BRD = self.patch_projection(patches(self.image_grid(image), self.config.grid))
        parts = {"patches": patches_BRD}
        return {"z": self.graph.embed(self._image_nodes(parts), "image"), **parts}

    def represent_text(self, text: TextBatch) -> Representation:
        """`tokens`, h^(0), their mask, and `z`, the embedding by the graph of the text alone.

        Special tokens and padding are outside of the mask, and 0.
        """
        mask_BT = text.sentence_BT >= 0
        tokens_BTD = self.token_projection(self.text_states(text), mask_BT)
        parts = {"tokens": tokens_BTD * mask_BT[:, :, None], "token_mask": mask_BT}
        return {"z": self.graph.embed(self._text_nodes(parts), "text"), **parts}

    def score(self, images: Representation, texts: Representation) -> contract.PairScores:
        """The first stage's cosines of all pairs; in mode `pairwise`, of the pairs' graphs."""
        if self.config.mode != "pairwise":
            scores_BC = all_scores(images["z"], texts["z"])
        else:
            scores_BC = self._pairwise(images, texts, _all_pairs(images, texts)).view(
                len(images["z"]), len(texts["z"])
            )
        return contract.PairScores(scores_BC, scores_BC)

    def refine(
        self, images: Representation, texts: Representation, pairs_P2: Tensor
    ) -> contract.PairScores | None:
        """What turns the first stage's scores of the chosen pairs into the re-ranker's.

        With all pairs chosen, the ranking is the exhaustive one of the pairs' graphs.
        """
        if self.config.mode != "both":
            return None
        added_P = self._pairwise(images, texts, pairs_P2)
        if self.config.reranked == "pairwise":
            image, text = pairs_P2.unbind(dim=1)
            added_P = added_P - all_scores(images["z"], texts["z"])[image, text]
        return contract.PairScores(added_P, added_P)

    def alignment(self, image: ImageBatch, text: TextBatch) -> contract.Alignment | None:
        """What each token reads of the patches in the pair's graph; see `Encoder.alignment`.

        The edges from a token to patches, as shares of their sum.
        """
        if self.config.mode == "dual":
            return None
        grid_BCYX = self.image_grid(image)
        images = self.represent_image(ImageBatch(grid_BCYX=grid_BCYX))
        count = images["patches"].shape[1]
        weights_BTR = self.node_attention(images, self.represent_text(text))[:, count:, :count]
        total_BT1 = weights_BTR.sum(dim=2, keepdim=True)
        share_BTR = weights_BTR / total_BT1.masked_fill(total_BT1 == 0, 1)
        return contract.Alignment(patch_maps(share_BTR, self.config.grid, grid_BCYX.shape[2:]))

    def node_attention(self, images: Representation, texts: Representation) -> Tensor:
        """`weights_BVV`: how much node u of image i and text i reads of node v.

        Patches come first, row by row, then the text's tokens; special ones and padding have 0.
        Of the first layer where edges are dynamic.
        """
        return pair_edges(
            self._image_nodes(images).ends, self._text_nodes(texts).ends, self.config.edges
        )

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The loss of each stage; training minimises their sum.

        Each process scores its images against all texts; the rows are gathered, so that every
        stage is one full matrix over the gathered batch.
        """
        images = self.represent_image(batch.image)
        texts = {
            name: gather_ragged(part) if name in _RAGGED else gather(part)
            for name, part in self.represent_text(batch.text).items()
        }
        keys_C = gather(batch.keys_B)
        same_BB, own_BC = contract.same_study(keys_C), batch.keys_B[:, None] == keys_C
        terms: dict[str, Tensor] = {}
        chosen_BC = torch.ones_like(own_BC)
        if "dual" in self.config.stages:
            rows_BC = all_scores(images["z"], texts["z"])
            scores_BB = gather(rows_BC)
            terms["dual"] = self._loss("dual", scores_BB, same_BB)
            if self.config.candidates is not None:
                chosen_BC = own_BC | hardest(
                    rows_BC.masked_fill(own_BC, float("-inf")),
                    scores_BB.masked_fill(same_BB, float("-inf")),
                    self.config.candidates,
                )
        if "pairwise" in self.config.stages:
            rows_BC = images["z"].new_zeros(own_BC.shape)
            rows_BC[chosen_BC] = self._pairwise(images, texts, chosen_BC.nonzero())
            ignored_BB = same_BB | ~gather(chosen_BC)
            terms["pairwise"] = self._loss("pairwise", gather(rows_BC), ignored_BB)
        return terms

    def _loss(self, stage: ScoreStage, scores_BB: Tensor, ignored_BB: Tensor) -> Tensor:
        """The loss of a stage's scores; `ignored_BB` is True where a pair is no negative."""
        if self.config.loss == "info_nce":
            return symmetric_info_nce(
                contract.logit_scale(self.logit_scale[stage]) * scores_BB, ignored_BB
            )
        return ranking_loss(scores_BB, ignored_BB, self.config.margin, 1) + ranking_loss(
            scores_BB.T, ignored_BB.T, self.config.margin, 1
        )

    def _pairwise(self, images: Representation, texts: Representation, pairs_P2: Tensor) -> Tensor:
        return pairwise_scores(
            self.graph,
            self._image_nodes(images),
            self._text_nodes(texts),
            pairs_P2,
            self.config.edges,
            self.config.pair_block,
        )

    def _image_nodes(self, images: Representation) -> Nodes:
        patches_BRD = images["patches"]
        mask_BR = torch.ones(patches_BRD.shape[:2], dtype=torch.bool, device=patches_BRD.device)
        return self.graph.nodes(patches_BRD, mask_BR, "image")

    def _text_nodes(self, texts: Representation) -> Nodes:
        return self.graph.nodes(texts["tokens"], texts["token_mask"], "text")


class NodeProjection(nn.Module):
    """Dropout and a linear map into the shared space, for the nodes of one modality."""

    def __init__(self, in_dim: int, out_dim: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(in_dim, out_dim)

    def forward(self, parts_BPC: Tensor, mask_BP: Tensor | None = None) -> Tensor:
        """`parts_BPD`; called as `PartProjection` is, which looks at the mask."""
        projected: Tensor = self.linear(self.dropout(parts_BPC))
        return projected


def patches(grid_BCYX: Tensor, side: int | None) -> Tensor:
    """`patches_BRC`: the cells of a feature map, row by row, averaged to at most `side` a side."""
    if side is not None:
        rows, columns = grid_BCYX.shape[2:]
        size = (min(side, rows), min(side, columns))
        grid_BCYX = functional.adaptive_avg_pool2d(grid_BCYX, size)
    return grid_BCYX.flatten(2).transpose(1, 2)


def patch_maps(weights_BTR: Tensor, side: int | None, size: torch.Size) -> Tensor:
    """`maps_BTYX`: weights of `patches` laid out on the feature map of `size`, sums kept."""
    cells_GYX = torch.eye(size.numel(), device=weights_BTR.device, dtype=weights_BTR.dtype)
    share_GR = patches(cells_GYX.view(-1, 1, *size), side)[:, :, 0]
    return (weights_BTR @ share_GR.T).view(*weights_BTR.shape[:2], *size)


@torch.no_grad()
def hardest(rows_BC: Tensor, scores_CC: Tensor, count: int) -> Tensor:
    """`chosen_BC`: bool, True where a pair is among its image's or its text's `count` best.

    `rows_BC` are rows of the gathered `scores_CC`; both hold -inf where a pair may not count.
    """
    count = min(count, len(scores_CC))
    of_image_B1 = rows_BC.topk(count, dim=1).values[:, -1:]
    of_text_1C = scores_CC.topk(count, dim=0).values[-1:]
    return (rows_BC >= of_image_B1) | (rows_BC >= of_text_1C)


def _all_pairs(images: Representation, texts: Representation) -> Tensor:
    sizes = (len(part["z"]) for part in (images, texts))
    return torch.cartesian_prod(*(torch.arange(n, device=images["z"].device) for n in sizes))
