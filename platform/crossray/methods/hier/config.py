"""The configuration of HIER's stage 2."""

from __future__ import annotations

from dataclasses import dataclass
from math import lcm
from typing import TYPE_CHECKING, ClassVar, Literal

from crossray.core.errors import CrossRayError
from crossray.methods.config import Capability, MethodConfig
from crossray.methods.hier.fusion import HEADS, FusionName, Scoring
from crossray.methods.hier.regions import ZONE_GRID

if TYPE_CHECKING:
    from crossray.methods.hier.model import Hier

Level = Literal["region_word", "structure_sentence", "global"]
LEVELS: tuple[Level, ...] = ("region_word", "structure_sentence", "global")


@dataclass(frozen=True)
class HierConfig(MethodConfig):
    """HIER, stage 2 (docs/methods/hier.md).

    Attributes:
        hidden: width of the global heads' hidden layer.
        dropout: probability, in the heads.
        local_dropout: probability, in the projections of regions, words, structures and sentences.
        image_pooling: of the global image embedding: the mean over the feature map, or its cells
            side by side, averaged to the finest of `grids`, which keeps where things are.
        text_pooling: the first token's state, or the mean over the tokens.
        regions: of level 1: cells of grids, or the boxes or masks of the pairs with the full
            picture as one more.
        grids: sides of the region grids.
        structures: of level 2: seven zones of the picture, or the masks of the pairs with the full
            picture as one more.
        levels: which of the three levels are used.
        smoothing: lambda of the attention.
        both_directions: average region-word with word-region.
        structure_width: width of the pairwise transformer layers of level 2.
        structure_heads: attention heads there.
        structure_feed_forward: width of the feed-forward layers there.
        pair_block: pairs computed at a time there.
        margin: of the ranking losses.
        hard_negatives: negatives a query in the ranking losses, the hardest of the batch.
        info_nce: levels that learn by InfoNCE over the batch in place of the ranking loss.
        temperature: of InfoNCE, the initial one; each such level learns one.
        level_weights: initial weights of the losses of region_word, structure_sentence and global.
        level_weighting: learn the weights (uncertainty) or keep them (fixed).
        gate: weigh the levels by the query.
        loss_on_gated: weight of the loss on the gated score.
        fusion: of image and text, whose score is added to the pairs that are refined.
        fusion_scoring: cos(z, t) of the fused vector z, or a perceptron of z.
        fusion_weight: of the fusion's score where it is added; its ranking loss has weight 1.
    """

    name: ClassVar[str] = "hier"
    hidden: int = 1024
    dropout: float = 0.0
    local_dropout: float = 0.0
    image_pooling: Literal["mean", "cells"] = "mean"
    text_pooling: Literal["cls", "mean"] = "cls"
    regions: Literal["grid", "boxes", "masks"] = "grid"
    grids: tuple[int, ...] = (4, 8, 16)
    structures: Literal["zones", "masks"] = "zones"
    levels: tuple[Level, ...] = LEVELS
    smoothing: float = 9.0
    both_directions: bool = False
    structure_width: int = 256
    structure_heads: int = 8
    structure_feed_forward: int = 1024
    pair_block: int = 4096
    margin: float = 0.2
    hard_negatives: int = 5
    info_nce: tuple[Level, ...] = ()
    temperature: float = 0.05
    level_weights: tuple[float, float, float] = (0.4, 0.3, 0.3)
    level_weighting: Literal["uncertainty", "fixed"] = "uncertainty"
    gate: bool = True
    loss_on_gated: float = 1.0
    fusion: FusionName | None = None
    fusion_scoring: Scoring = "cosine"
    fusion_weight: float = 1.0

    def __post_init__(self) -> None:
        if not self.levels or set(self.levels) - set(LEVELS):
            raise CrossRayError(
                f"levels={self.levels!r} is not a choice of HIER's levels; name one or more of "
                f"{', '.join(LEVELS)}."
            )
        if stray := set(self.info_nce) - set(self.levels):
            raise CrossRayError(
                f"info_nce names {', '.join(sorted(stray))}, which is not among the levels; leave "
                "it out there, or put it into `levels`."
            )
        if min(self.level_weights) <= 0:
            raise CrossRayError(
                f"level_weights={self.level_weights!r} must all be greater than 0; "
                "leave a level out of `levels` to switch it off."
            )
        if self.fusion == "mha8" and self.embedding % HEADS:
            raise CrossRayError(
                f"fusion='mha8' shares the embedding out over {HEADS} heads, and embedding="
                f"{self.embedding} does not divide by them; choose a multiple."
            )

    @property
    def reads_parts(self) -> bool:
        """Whether regions and words are represented."""
        return "region_word" in self.levels or self.fusion is not None

    @property
    def pooled_side(self) -> int:
        """Rows and columns of cells that the global image embedding is made of."""
        return max(self.grids) if self.image_pooling == "cells" else 1

    @property
    def reads_structures(self) -> bool:
        """Whether structures and sentences are represented."""
        return "structure_sentence" in self.levels

    @property
    def capabilities(self) -> frozenset[Capability]:
        """See `MethodConfig.capabilities`."""
        read: set[Capability] = set()
        if self.reads_parts and self.regions != "grid":
            read.add(self.regions)
        if self.reads_structures and self.structures != "zones":
            read.add(self.structures)
        return super().capabilities | read

    def build(self, load_weights: bool = True) -> Hier:
        """See `MethodConfig.build`."""
        from crossray.methods.hier.model import Hier

        return Hier(self, load_weights)

    def map_side(self, full: int) -> int:
        """The smallest side that the region grids and the zones' grid divide and that divides all.

        Averages of equal parts are then the averages of the map. Boxes and masks need the full map.
        """
        if self.capabilities & {"boxes", "masks"}:
            return full
        regions = self.grids if self.reads_parts else ()
        zones = (ZONE_GRID,) if self.reads_structures else ()
        step = lcm(self.pooled_side, *regions, *zones)
        return next((side for side in range(step, full, step) if full % side == 0), full)
