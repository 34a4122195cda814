"""CCA: the linear maps under which images and texts correlate most (Hotelling 1936).

The line that every trained method has to beat: no gradient, no epoch, seconds.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from crossray.core.errors import CrossRayError
from crossray.core.types import Batch, ImageBatch, TextBatch
from crossray.encoders.image import ImageTower
from crossray.encoders.text import TextTower, pool
from crossray.methods.config import Capability, MethodConfig
from crossray.methods.contract import ClosedForm

# Features are kept in float32 at best: what varies less than its rounding does not vary.
_ROUNDING = torch.finfo(torch.float32).eps ** 2


@dataclass(frozen=True)
class CcaConfig(MethodConfig):
    """Canonical correlation analysis of two frozen towers' mean outputs.

    Attributes:
        embedding: canonical variates that are kept, strongest first; fitting lowers it to the rank
            of the smaller view.
        ridge: added to both covariances' diagonals, as a share of the mean variance of a feature.
        scale: multiply every variate by its canonical correlation.
    """

    name: ClassVar[str] = "cca"
    embedding: int = 128
    ridge: float = 0.1
    scale: bool = True

    def __post_init__(self) -> None:
        if self.embedding < 1 or not 0 <= self.ridge < float("inf"):
            raise CrossRayError(
                f"embedding={self.embedding} and ridge={self.ridge} are no settings of CCA; keep "
                "at least one variate, and a ridge of 0 or more."
            )

    @property
    def capabilities(self) -> frozenset[Capability]:
        """See `MethodConfig.capabilities`."""
        return super().capabilities | {"closed_form"}

    def build(self, load_weights: bool = True) -> "Cca":
        """See `MethodConfig.build`."""
        return Cca(self, load_weights)

    def map_side(self, full: int) -> int:
        """One cell: only the mean over the map is used."""
        return 1


class Cca(ClosedForm):
    """Centred means of an image's cells and of a text's tokens, each through a linear map."""

    config: CcaConfig
    image_mean_C: Tensor
    image_map_CD: Tensor
    text_mean_W: Tensor
    text_map_WD: Tensor
    correlations_D: Tensor

    def __init__(self, config: CcaConfig, load_weights: bool = True) -> None:
        super().__init__()
        self.config = config
        self.image_tower = ImageTower(config.image, load_weights)
        self.text_tower = TextTower(config.text, load_weights)
        channels, width, variates = (
            self.image_tower.channels,
            self.text_tower.width,
            config.embedding,
        )
        self.register_buffer("image_mean_C", torch.zeros(channels))
        self.register_buffer("image_map_CD", torch.zeros(channels, variates))
        self.register_buffer("text_mean_W", torch.zeros(width))
        self.register_buffer("text_map_WD", torch.zeros(width, variates))
        self.register_buffer("correlations_D", torch.zeros(variates))

    def fit(self, features: Iterable[Batch]) -> None:
        """See `ClosedForm.fit`; the covariances are summed batch by batch, in float64."""
        moments = Moments()
        with torch.no_grad():
            for batch in features:
                moments.add(self._pooled_image(batch.image), self._pooled_text(batch.text))
        if moments.rows < 2:
            raise CrossRayError(
                f"CCA needs two pairs or more to correlate, not {moments.rows}; give it a larger "
                "training split."
            )
        fitted = canonical_directions(
            *moments.covariances(), self.config.ridge, self.config.embedding
        )
        self.config = replace(self.config, embedding=len(fitted.correlations_D))
        channels = len(fitted.x_CD)
        self.image_mean_C = moments.mean[:channels].float()
        self.text_mean_W = moments.mean[channels:].float()
        self.image_map_CD = fitted.x_CD.float()
        self.text_map_WD = fitted.y_WD.float()
        self.correlations_D = fitted.correlations_D.float()

    def encode_image(self, image: ImageBatch) -> Tensor:
        """`z_BD`: the canonical variates of the mean over the feature map, unit length."""
        return self._variates(self._pooled_image(image) - self.image_mean_C, self.image_map_CD)

    def encode_text(self, text: TextBatch) -> Tensor:
        """`z_BD`: the canonical variates of the mean over the real tokens, unit length."""
        return self._variates(self._pooled_text(text) - self.text_mean_W, self.text_map_WD)

    def _pooled_image(self, image: ImageBatch) -> Tensor:
        return self.image_grid(image).mean(dim=(2, 3))

    def _pooled_text(self, text: TextBatch) -> Tensor:
        return pool(self.text_states(text), text.mask_BT, "mean")

    def _variates(self, centred_BC: Tensor, map_CD: Tensor) -> Tensor:
        variates_BD = centred_BC @ map_CD
        if self.config.scale:
            variates_BD = variates_BD * self.correlations_D
        return functional.normalize(variates_BD, dim=-1)


class Moments:
    """Mean and scatter of paired rows, one block at a time (Chan et al. 1979, section 2).

    Float64, centred on the mean of each block before squaring, so that neither many rows nor a
    large mean costs digits. Memory: one square matrix over the features of both views.
    """

    rows: int = 0

    def add(self, x_BC: Tensor, y_BW: Tensor) -> None:
        """Take in a block of rows; `x` and `y` are the two views of the same rows."""
        block = torch.cat([x_BC, y_BW], dim=1).double()
        self.channels, rows, mean = x_BC.shape[1], len(block), block.mean(dim=0)
        block -= mean
        scatter = block.T @ block
        if self.rows == 0:
            self.rows, self.mean, self.scatter = rows, mean, scatter
            return
        total, shift = self.rows + rows, mean - self.mean
        self.scatter += scatter
        self.scatter += torch.outer(shift, shift) * (self.rows * rows / total)
        self.mean = self.mean + shift * (rows / total)
        self.rows = total

    def covariances(self) -> tuple[Tensor, Tensor, Tensor]:
        """`xx_CC`, `yy_WW` and `xy_CW` over rows - 1."""
        covariance, at = self.scatter / (self.rows - 1), self.channels
        return covariance[:at, :at], covariance[at:, at:], covariance[:at, at:]


class Directions(NamedTuple):
    """Linear maps of both views, and the correlations of what they give, falling."""

    x_CD: Tensor
    y_WD: Tensor
    correlations_D: Tensor


def canonical_directions(
    xx_CC: Tensor, yy_WW: Tensor, xy_CW: Tensor, ridge: float, variates: int
) -> Directions:
    """Maximise corr(W_x^T x, W_y^T y): the SVD of S_xx^(-1/2) S_xy S_yy^(-1/2).

    Hotelling 1936 in the form of Mardia, Kent and Bibby 1979, section 10.2, with a ridge on both
    covariances (Vinod 1976) of `ridge` times the mean variance of a feature. Directions in which a
    view does not vary are left out, so histograms, whose bins sum to one, need no ridge. At most
    `variates` are kept, and no more than the smaller rank. With a ridge of 0 the variates of the
    training rows have variance 1. Raises `CrossRayError` for a view that does not vary at all.
    """
    white_x_CR, white_y_WR = _whitening(xx_CC, ridge, "image"), _whitening(yy_WW, ridge, "text")
    left_RD, correlations_D, right_DR = torch.linalg.svd(
        white_x_CR.T @ xy_CW @ white_y_WR, full_matrices=False
    )
    kept = min(variates, len(correlations_D))
    return Directions(
        white_x_CR @ left_RD[:, :kept],
        white_y_WR @ right_DR[:kept].T,
        correlations_D[:kept].clamp(max=1),
    )


def _whitening(covariance_CC: Tensor, ridge: float, view: str) -> Tensor:
    """`white_CR`: `white^T (S + r I) white = I` on the R directions in which the view varies."""
    import scipy.linalg  # most runs fit no CCA

    # torch's may fail to converge where most features are constant, with two threads or more.
    variances_C, axes_CC = map(torch.from_numpy, scipy.linalg.eigh(covariance_CC.cpu().numpy()))
    varies_C = variances_C > _ROUNDING * len(variances_C) * variances_C[-1].clamp(min=0)
    if not varies_C.any():
        raise CrossRayError(
            f"the {view} features of the training split are all the same, so nothing correlates "
            "with them; give features that differ between items."
        )
    spread_R = variances_C[varies_C] + ridge * covariance_CC.diagonal().mean()
    white_CR: Tensor = axes_CC[:, varies_C] / spread_R.sqrt()
    return white_CR
