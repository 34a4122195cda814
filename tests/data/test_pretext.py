"""What self-supervision draws: hidden pixels, masked terms, swapped halves; and its batches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from crossray.core.artifacts import Artifact
from crossray.core.errors import CrossRayError
from crossray.core.types import PretextBatch
from crossray.data.clinical_terms import load_terms
from crossray.data.corpora.sampling import BatchSampler
from crossray.data.pretext.config import PretextConfig
from crossray.data.pretext.corpus import UnimodalCorpus
from crossray.data.pretext.samples import (
    IGNORED,
    PretextSamples,
    Vocabulary,
    hidden_rectangles,
    mask_units,
    ordered_or_swapped,
    pretext_loader,
    single_tokens,
)
from crossray.data.tokenization import Tokenizer, train_wordpiece
from crossray.data.transforms import AugmentConfig, training_transform
from support.pairs import phantom_pairs, read_pairs, write_pairs

GREY = (0.5, 0.5, 0.5)


@pytest.fixture
def pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Artifact:
    """Paired items, and in the training split images and texts alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rows = read_pairs(phantom_pairs(str(tmp_path / "whole"), 40)).to_pylist()
    for row in rows:
        row["split"] = "train"
    for row in rows[:10]:
        row["image"] = None
    for row in rows[10:16]:
        row["texts"], row["sections"] = [], []
    return write_pairs(str(tmp_path / "pairs"), rows)


def tokenizer_for(pairs: Artifact) -> Tokenizer:
    """A vocabulary of these texts."""
    texts = [text for row in read_pairs(pairs, ["texts"])["texts"].to_pylist() for text in row]
    return Tokenizer(train_wordpiece(texts, 400))


def samples_of(
    pairs: Artifact, config: PretextConfig | None = None, seed: int = 5
) -> PretextSamples:
    """The training split in small pictures."""
    whole, one, other = (
        training_transform(32, GREY, GREY, AugmentConfig(), seed) for seed in range(3)
    )
    corpus = UnimodalCorpus(pairs, "train", whole, (one, other))
    config = config or PretextConfig(sentence_order=True)
    return PretextSamples(corpus, tokenizer_for(pairs), 120, config, seed)


def tensors(batch: PretextBatch) -> dict[str, Tensor]:
    """What a batch shows and what was drawn for it."""
    assert batch.image.pixels_BCYX is not None
    assert batch.text.tokens_BT is not None
    return {
        "pixels": batch.image.pixels_BCYX,
        "tokens": batch.text.tokens_BT,
        **{name: part for name, part in vars(batch).items() if isinstance(part, Tensor)},
    }


def test_rectangles_cover_the_area() -> None:
    """A quarter is the difficulty of the task; the shapes must differ from image to image."""
    rng = np.random.default_rng(0)
    for side in (32, 112, 224):
        for area in (0.1, 0.25, 0.5):
            masks = [hidden_rectangles(side, area, rng) for _ in range(20)]
            shares = [mask.mean() for mask in masks]
            assert area - 0.5 / side**2 <= min(shares) + 1e-12
            assert max(shares) <= area + 1 / 3 / side + 1e-3
    assert not np.array_equal(masks[0], masks[1])


def test_share_and_wholeness_of_masked_units() -> None:
    """15 % of the terms, all sub-words of each, at least one; 80, 10 and 10 % as in BERT."""
    rng, vocabulary = np.random.default_rng(1), Vocabulary(4, np.arange(5, 500))
    chosen = terms = masked = same = 0
    for _ in range(400):
        sizes = rng.integers(1, 4, size=30)
        unit_T = np.repeat(np.arange(30), sizes)
        unit_T[rng.random(len(unit_T)) < 0.1] = -1
        tokens_T = rng.integers(5, 500, size=len(unit_T))
        seen_T, targets_T = mask_units(tokens_T, unit_T, 0.15, vocabulary, rng)
        assert (targets_T[unit_T < 0] == IGNORED).all()
        assert (seen_T[targets_T == IGNORED] == tokens_T[targets_T == IGNORED]).all()
        for unit in np.unique(unit_T[unit_T >= 0]):
            of_unit = unit_T == unit
            hit = targets_T[of_unit] != IGNORED
            assert hit.all() or not hit.any(), "whole terms"
            if hit.any():
                assert (targets_T[of_unit] == tokens_T[of_unit]).all()
                masked += bool((seen_T[of_unit] == 4).all())
                same += bool((seen_T[of_unit] == tokens_T[of_unit]).all())
                chosen += 1
            terms += 1
    assert chosen / terms == pytest.approx(0.15, abs=0.01)
    assert masked / chosen == pytest.approx(0.8, abs=0.03)
    assert same / chosen == pytest.approx(0.1, abs=0.03)
    one = mask_units(np.array([7, 8]), np.array([-1, 0]), 0.15, vocabulary, rng)
    assert one.targets_T.tolist() == [IGNORED, 8], "at least one"
    none = mask_units(np.array([7]), np.array([-1]), 0.15, vocabulary, rng)
    assert none.targets_T.tolist() == [IGNORED]
    assert single_tokens(np.array([False, True, True])).tolist() == [-1, 1, 2]


def test_halves_are_swapped_half_the_time() -> None:
    """The label must say what was done, and every cut must occur."""
    rng, told = np.random.default_rng(2), []
    sentences = ["a", "b", "c", "d"]
    for _ in range(400):
        order, label = ordered_or_swapped(sentences, rng)
        assert label == (order == sentences)
        assert sorted(order) == sentences
        start = order.index("a")
        assert order[start:] + order[:start] == sentences, "two pieces, each in its order"
        told.append(label)
    assert np.mean(told) == pytest.approx(0.5, abs=0.08)
    assert ordered_or_swapped(["alone"], rng) == (["alone"], IGNORED)


def test_items_without_their_other_half_take_part(pairs: Artifact) -> None:
    """Dropped pairs and films without a report are what stage 1 is there for."""
    samples = samples_of(pairs)
    assert len(samples) == 34, "34 texts, 30 images"
    batch = samples.collate([samples[0, row] for row in range(34)])
    found = tensors(batch)
    assert len(found["pixels"]) == len(found["tokens"]) == 34
    assert len(torch.unique(found["pixels"].flatten(1), dim=0)) > 29
    rows = read_pairs(pairs, ["image", "texts"]).to_pylist()
    texts = [row["texts"] for row in rows if row["texts"]]
    corpus = samples.corpus
    assert sorted(text for row in range(34) for text in corpus.entries(row)) == sorted(texts)
    images_alone = UnimodalCorpus(pairs, "train", *_transforms(), modalities=("images",))
    assert len(images_alone) == 30
    with pytest.raises(CrossRayError, match=r"the val split of .* has no images"):
        UnimodalCorpus(pairs, "val", *_transforms())


def _transforms():  # type: ignore[no-untyped-def]
    augmented = training_transform(32, GREY, GREY, AugmentConfig(), 0)
    return augmented, (augmented, augmented)


def test_only_terms_are_masked_and_fallbacks_are_told(pairs: Artifact, tmp_path: Path) -> None:
    """Stage 1 learns findings, not articles; a list that fits nothing must be noticed."""
    samples = samples_of(pairs, PretextConfig())
    tokenizer, terms = tokenizer_for(pairs), load_terms()
    batch = samples.collate([samples[1, row] for row in range(34)])
    found = tensors(batch)
    assert not found["fallback_B"].any()
    for row in range(34):
        (sentences,) = samples.corpus.entries(row)
        spans = [terms.spans(sentence) for sentence in sentences]
        plain, units = tokenizer.encode_spans([sentences], [spans], 120)
        assert plain.tokens_BT is not None
        width = plain.tokens_BT.shape[1]
        masked = found["targets_BT"][row, :width] != IGNORED
        assert masked.any()
        assert (units[0][masked] >= 0).all()
        assert torch.equal(found["targets_BT"][row, :width][masked], plain.tokens_BT[0][masked])
        visible = found["tokens"][row, :width][~masked]
        assert torch.equal(visible, plain.tokens_BT[0][~masked])
    foreign = tmp_path / "foreign.txt"
    foreign.write_text("guitar\n")
    batch = samples_of(pairs, PretextConfig(terms=str(foreign)))
    fallen = batch.collate([batch[0, row] for row in range(8)])
    assert tensors(fallen)["fallback_B"].all()
    assert (tensors(fallen)["targets_BT"] != IGNORED).any(dim=1).all()
    random = samples_of(pairs, PretextConfig(masking="random"))
    assert not tensors(random.collate([random[0, 0]]))["fallback_B"].any(), "asked for"


def test_spans_reach_every_sub_word() -> None:
    """A term whose last sub-word stays visible is no riddle; sentences must not shift the spans."""
    text = ["No effusion.", "Cardiomegaly and pleural effusions persist."]
    tokenizer = Tokenizer(train_wordpiece([*text, "no and persist"] * 3, 60))
    terms = load_terms()
    batch, units = tokenizer.encode_spans([text], [[terms.spans(s) for s in text]], 64)
    assert batch.tokens_BT is not None
    said = [
        tokenizer._fast.decode(batch.tokens_BT[0][units[0] == unit].tolist())
        for unit in range(int(units.max()) + 1)
    ]
    assert [s.replace(" ", "").replace("##", "") for s in said] == [
        "effusion",
        "cardiomegaly",
        "pleuraleffusions",
    ]
    cut, units = tokenizer.encode_spans([text], [[terms.spans(s) for s in text]], 5)
    assert cut.tokens_BT is not None
    assert units.shape == cut.tokens_BT.shape == (1, 5)
    assert units[0, 0] == units[0, -1] == -1, "special tokens are no term"


def test_draws_depend_on_seed_epoch_and_row_only(pairs: Artifact) -> None:
    """A resumed run, or one with more loader processes, must be the same run."""
    sampler = BatchSampler(34, 8, epochs=2, seed=3)
    whole = [tensors(batch) for batch in pretext_loader(samples_of(pairs), sampler, 0)]
    later = pretext_loader(samples_of(pairs), replace(sampler, start=5), 2)
    for found, expected in zip(map(tensors, later), whole[5:], strict=True):
        for name, value in expected.items():
            assert torch.equal(found[name], value), name
    samples, other = samples_of(pairs), samples_of(pairs, seed=6)
    one, again, seeded = (s.collate([s[e, 0]]) for s, e in ((samples, 0), (samples, 1), (other, 0)))
    for changed in (again, seeded):
        assert not torch.equal(tensors(one)["hidden_BYX"], tensors(changed)["hidden_BYX"])
    views = tensors(one)["views_BVCYX"]
    assert views.shape == (1, 2, 3, 32, 32)
    assert not torch.equal(views[:, 0], views[:, 1])


def test_views_are_upright_unless_asked_for(pairs: Artifact) -> None:
    """Turned views would teach the encoder to forget what rotation prediction teaches."""
    plain = samples_of(pairs, PretextConfig(masking="none"))
    turned = samples_of(pairs, PretextConfig(masking="none", turned_views=True))
    upright, other = (tensors(s.collate([s[0, row] for row in range(12)])) for s in (plain, turned))
    assert torch.equal(upright["pixels"], other["pixels"])
    times = []
    for view, found in zip(
        upright["views_BVCYX"].flatten(0, 1), other["views_BVCYX"].flatten(0, 1), strict=True
    ):
        fits = [n for n in range(4) if torch.equal(torch.rot90(view, n, dims=(1, 2)), found)]
        times += fits[:1]
    assert len(times) == 24
    assert set(times) == {0, 1, 2, 3}
    assert len(upright["tokens"]) == 0, "no texts where none are needed"
