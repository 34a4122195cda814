"""CCA against the textbook's equations, an independent package, and what its users rely on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import scipy.linalg
import torch
from sklearn import cross_decomposition

from crossray.core.errors import CrossRayError
from crossray.core.types import Batch, ImageBatch, TextBatch
from crossray.encoders.image import given_images
from crossray.encoders.text import given_texts
from crossray.methods.cca import Cca, CcaConfig, Directions, Moments
from crossray.methods.cca.model import canonical_directions
from support.tiny import CLOSED_FORM, batch_of

ROWS, CHANNELS, WIDTH = 200, 7, 5


def views(seed: int, rows: int = ROWS) -> tuple[torch.Tensor, torch.Tensor]:
    """Two views of three shared causes, each with noise and a mean of its own."""
    rng = np.random.default_rng(seed)
    cause = rng.normal(size=(rows, 3))
    x = cause @ rng.normal(size=(3, CHANNELS)) + rng.normal(size=(rows, CHANNELS)) + 5
    y = cause @ rng.normal(size=(3, WIDTH)) + rng.normal(size=(rows, WIDTH)) - 3
    return torch.from_numpy(x), torch.from_numpy(y)


def batches(x: torch.Tensor, y: torch.Tensor, size: int = 64) -> Iterator[Batch]:
    """The views as maps of one cell and texts of one token."""
    for at in range(0, len(x), size):
        image, text = x[at : at + size].float(), y[at : at + size].float()
        mask = torch.ones(len(text), 1, dtype=torch.bool)
        yield Batch(
            ImageBatch(grid_BCYX=image[:, :, None, None]),
            TextBatch(mask, torch.zeros(len(text), 1, dtype=torch.long), states_BTD=text[:, None]),
            torch.arange(at, at + len(text)),
        )


def fitted(x: torch.Tensor, y: torch.Tensor, **options: float | bool) -> Cca:
    """CCA of two views."""
    config = CcaConfig(given_images(x.shape[1]), given_texts(y.shape[1]), **options)  # type: ignore[arg-type]
    cca = config.build()
    cca.fit(batches(x, y))
    return cca


def directions(x: torch.Tensor, y: torch.Tensor, ridge: float, variates: int = 99) -> Directions:
    """The directions of two views."""
    moments = Moments()
    moments.add(x, y)
    return canonical_directions(*moments.covariances(), ridge, variates)


@pytest.mark.parametrize("seed", range(5))
def test_directions_solve_the_generalised_eigenproblem(seed: int) -> None:
    """The textbook's form: S_xy S_yy^-1 S_yx w = rho^2 S_xx w, each direction in turn, slowly."""
    x, y = views(seed)
    xc, yc = (v.numpy() - v.numpy().mean(axis=0) for v in (x, y))
    ridge = 0.3 * seed / 4
    xx, yy, xy = xc.T @ xc / (ROWS - 1), yc.T @ yc / (ROWS - 1), xc.T @ yc / (ROWS - 1)
    xx += ridge * np.trace(xx) / CHANNELS * np.eye(CHANNELS)
    yy += ridge * np.trace(yy) / WIDTH * np.eye(WIDTH)
    values, vectors = scipy.linalg.eigh(xy @ np.linalg.inv(yy) @ xy.T, xx)
    found = directions(x, y, ridge)
    for at in range(WIDTH):
        rho, w = np.sqrt(values[-1 - at]), vectors[:, -1 - at]
        assert found.correlations_D[at].item() == pytest.approx(rho, abs=1e-9)
        own = found.x_CD[:, at].numpy()
        np.testing.assert_allclose(own * np.sign(own @ w), w, atol=1e-7)
        other = np.linalg.inv(yy) @ xy.T @ own / rho
        np.testing.assert_allclose(found.y_WD[:, at].numpy(), other, atol=1e-7)


@pytest.mark.parametrize("seed", range(3))
def test_scores_are_those_of_an_independent_package(seed: int) -> None:
    """Variates and correlations of scikit-learn's iterative solver, up to sign and scale."""
    x, y = views(seed)
    model = cross_decomposition.CCA(3, scale=False, max_iter=20_000, tol=1e-12)
    theirs = model.fit_transform(x.numpy(), y.numpy())
    found = directions(x, y, 0.0, 3)
    ours = (
        ((x - x.mean(dim=0)) @ found.x_CD).numpy(),
        ((y - y.mean(dim=0)) @ found.y_WD).numpy(),
    )
    for at in range(3):
        rho = np.corrcoef(theirs[0][:, at], theirs[1][:, at])[0, 1]
        assert found.correlations_D[at].item() == pytest.approx(rho, abs=1e-6)
        for own, other in zip(ours, theirs, strict=True):
            assert abs(np.corrcoef(own[:, at], other[:, at])[0, 1]) == pytest.approx(1, abs=1e-6)
            assert own[:, at].var(ddof=1) == pytest.approx(1, abs=1e-9)


def test_streaming_is_one_pass_over_everything() -> None:
    """Neither the size of a block nor a mean far from zero may change the covariances."""
    rng = np.random.default_rng(0)
    x, y = (torch.from_numpy(v) for v in (rng.normal(size=(97, 4)) + 1e5, rng.normal(size=(97, 3))))
    moments = Moments()
    for start, stop in ((0, 1), (1, 30), (30, 31), (31, 97)):
        moments.add(x[start:stop], y[start:stop])
    expected = np.cov(np.hstack([x.numpy(), y.numpy()]).T)
    xx, yy, xy = moments.covariances()
    np.testing.assert_allclose(xx, expected[:4, :4], rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(yy, expected[4:, 4:], rtol=1e-9)
    np.testing.assert_allclose(xy, expected[:4, 4:], rtol=1e-9, atol=1e-9)
    assert moments.rows == 97


@pytest.mark.parametrize("ridge", [0.0, 0.1])
def test_histograms_need_no_care(ridge: float) -> None:
    """Bins sum to one, so a covariance is singular: Wikipedia's topics must not give NaN."""
    x, y = views(1)
    x, y = torch.softmax(x, dim=1).float(), torch.softmax(y, dim=1).float()
    cca = fitted(x, y, ridge=ridge, embedding=50)
    assert cca.config.embedding == WIDTH - 1  # the rank of five bins
    assert torch.isfinite(cca.image_map_CD).all()
    assert torch.isfinite(cca.text_map_WD).all()
    whole = fitted(x[:, :-1], y[:, :-1], ridge=0.0, embedding=50)  # the other remedy: drop a bin
    if not ridge:
        torch.testing.assert_close(cca.correlations_D, whole.correlations_D, rtol=0, atol=1e-4)


def test_fewer_rows_than_features() -> None:
    """XMedia has 4,096 features and 4,000 rows; the rank, not the width, is the limit."""
    x, y = views(2, rows=6)
    cca = fitted(x, torch.cat([y, y], dim=1), ridge=0.5)
    assert cca.config.embedding == 5
    assert torch.isfinite(cca.encode_image(next(batches(x, y)).image)).all()


def test_the_ridge_follows_the_scale_of_the_features() -> None:
    """Features in thousandths, such as histograms, need the setting that the same ones at 1 do."""
    x, y = views(3)
    one, other = directions(x, y, 0.1), directions(1e-3 * x, 50 * y, 0.1)
    torch.testing.assert_close(one.correlations_D, other.correlations_D)


def test_pairs_are_nearest_and_scaling_weighs_variates() -> None:
    """What it is for: an image finds its text; strong variates count for more if asked."""
    x, y = views(4)
    plain, scaled = fitted(x, y, scale=False), fitted(x, y, scale=True)
    batch = next(batches(x, y))
    for cca in (plain, scaled):
        scores = cca.encode_image(batch.image) @ cca.encode_text(batch.text).T
        rank = (scores >= scores.diagonal()[:, None]).sum(dim=1).float().median()
        assert rank < 0.25 * len(scores)
    variates = (x[:64].float() - plain.image_mean_C) @ plain.image_map_CD * plain.correlations_D
    expected = torch.nn.functional.normalize(variates, dim=1)
    torch.testing.assert_close(scaled.encode_image(batch.image), expected)


def test_means_are_over_cells_and_real_tokens() -> None:
    """Padding must not pull a short text's vector towards nothing."""
    torch.manual_seed(0)
    cca = CLOSED_FORM["cca"].build().eval()
    assert isinstance(cca, Cca)
    cca.fit([batch_of(12), batch_of(12)])
    batch = batch_of(3)
    with torch.no_grad():
        grid, states = cca.image_grid(batch.image), cca.text_states(batch.text)
        image, text = cca.encode_image(batch.image), cca.encode_text(batch.text)
        kept = [state[mask] for state, mask in zip(states, batch.text.mask_BT, strict=True)]
    for row in range(3):
        x = (grid[row].flatten(1).mean(dim=1) - cca.image_mean_C) @ cca.image_map_CD
        y = (kept[row].mean(dim=0) - cca.text_mean_W) @ cca.text_map_WD
        x, y = x * cca.correlations_D, y * cca.correlations_D
        torch.testing.assert_close(image[row], x / x.norm(), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(text[row], y / y.norm(), rtol=1e-4, atol=1e-4)


def test_inputs_that_nothing_can_be_fitted_on() -> None:
    """A constant view or a single pair must be told, not divided by."""
    x, y = views(5)
    with pytest.raises(CrossRayError, match="text features of the training split are all the same"):
        fitted(x, torch.ones_like(y))
    with pytest.raises(CrossRayError, match="two pairs or more"):
        fitted(x[:1], y[:1])
    with pytest.raises(CrossRayError, match="at least one variate"):
        CcaConfig(embedding=0)
