"""Text towers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import (
    AutoModel,
    BertConfig,
    BertForMaskedLM,
    DistilBertConfig,
    MPNetConfig,
    PretrainedConfig,
    RobertaConfig,
)

from crossray.core.config import from_dict, to_dict
from crossray.core.errors import CrossRayError
from crossray.encoders import text
from crossray.encoders.text import BertShape, TextTower, TextTowerConfig, pool, resolve_text

SMALL = TextTowerConfig(shape=BertShape(2, 32, 4, 64), vocab_size=50, max_tokens=16)
SIZES = {
    "vocab_size": 50,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 20,
}


def some_tokens() -> tuple[Tensor, Tensor]:
    """Three random texts of 9, 5 and 3 tokens, and their mask."""
    mask_BT = torch.arange(9) < torch.tensor([[9], [5], [3]])
    return torch.randint(5, 50, (3, 9)) * mask_BT, mask_BT


@pytest.mark.parametrize(
    "hf", [None, BertConfig(**SIZES), RobertaConfig(**SIZES), MPNetConfig(**SIZES),
           DistilBertConfig(vocab_size=50, dim=32, n_layers=2, n_heads=4, hidden_dim=64)],
    ids=lambda c: c.model_type if c else "scratch",
)  # fmt: skip
def test_every_parameter_receives_a_gradient(hf: PretrainedConfig | None) -> None:
    """Otherwise ZeRO waits for the gradient of a pooler that nothing uses."""
    architecture = hf.to_diff_dict() if hf else None
    tower = TextTower(replace(SMALL, architecture=architecture))
    states_BTD = tower(*some_tokens())
    assert states_BTD.shape == (3, 9, tower.width)
    states_BTD.square().sum().backward()
    assert all(p.grad is not None for p in tower.parameters())


def test_padding_changes_nothing() -> None:
    """The vector of a caption must not depend on the longest caption in its batch."""
    tower = TextTower(SMALL).eval()
    tokens_BT, mask_BT = some_tokens()
    states_BTD = tower(tokens_BT, mask_BT)
    for row, length in enumerate((9, 5, 3)):
        alone_1TD = tower(tokens_BT[row : row + 1, :length], mask_BT[row : row + 1, :length])
        torch.testing.assert_close(states_BTD[row, :length], alone_1TD[0], atol=1e-5, rtol=1e-4)


def test_texts_by_length_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """States of another row would pair every photo with another caption."""
    tower = TextTower(SMALL).eval()
    length_B = torch.randint(1, 10, (11,))
    mask_BT = torch.arange(9) < length_B[:, None]
    tokens_BT = torch.randint(5, 50, (11, 9)) * mask_BT
    whole_BTD = tower(tokens_BT, mask_BT)
    monkeypatch.setattr(text, "TEXTS_AT_A_TIME", 4)
    by_length_BTD = tower(tokens_BT, mask_BT)
    assert by_length_BTD.shape == whole_BTD.shape
    torch.testing.assert_close(by_length_BTD[mask_BT], whole_BTD[mask_BT], atol=1e-5, rtol=1e-4)


def test_pooling_against_a_loop() -> None:
    """Pooled padding would make a caption's vector depend on its batch."""
    states_BTD, (_, mask_BT) = torch.randn(3, 9, 32), some_tokens()
    for row, length in enumerate((9, 5, 3)):
        mean = sum(states_BTD[row, t] for t in range(length)) / length
        torch.testing.assert_close(pool(states_BTD, mask_BT, "mean")[row], mean)
        assert torch.equal(pool(states_BTD, mask_BT, "cls")[row], states_BTD[row, 0])


def test_frozen_tower_ignores_train() -> None:
    """Dropout in a frozen tower would make cached token states random."""
    tower = TextTower(replace(SMALL, frozen=True))
    torch.nn.ModuleList([tower]).train()
    batch = some_tokens()
    first = tower(*batch)
    assert not first.requires_grad
    assert torch.equal(first, tower(*batch))
    assert not any(p.requires_grad for p in tower.parameters())


def test_weights_of_a_folder_survive_its_removal(tmp_path: Path) -> None:
    """A language-model checkpoint loads as an encoder, and its artifact needs no folder."""
    source = BertForMaskedLM(BertConfig(**SIZES)).eval()
    source.save_pretrained(tmp_path / "model")
    config = resolve_text(replace(SMALL, weights=f"path:{tmp_path / 'model'}"))
    tower = TextTower(config).eval()
    batch = some_tokens()
    expected = source.bert(batch[0], attention_mask=batch[1].long()).last_hidden_state
    torch.testing.assert_close(tower(*batch), expected)
    (tmp_path / "model").rename(tmp_path / "gone")
    read_back = from_dict(TextTowerConfig, to_dict(config))
    assert read_back == config
    assert resolve_text(config) is config
    again = TextTower(read_back, load_weights=False).eval()
    again.load_state_dict(tower.state_dict(), strict=True)
    assert torch.equal(again(*batch), tower(*batch))
    with pytest.raises(CrossRayError, match="no weights at"):
        TextTower(read_back)


def test_half_precision_weights_become_single(tmp_path: Path) -> None:
    """Weights saved in half precision must not make the tower's sums lose digits on a CPU."""
    AutoModel.from_config(BertConfig(**SIZES)).half().save_pretrained(tmp_path)
    tower = TextTower(replace(SMALL, weights=f"path:{tmp_path}"))
    assert {p.dtype for p in tower.parameters()} == {torch.float32}


def test_lacking_tensors_are_refused(tmp_path: Path) -> None:
    """Weights that do not fit must never leave a tower half random."""
    AutoModel.from_config(BertConfig(**SIZES)).save_pretrained(tmp_path)
    deeper = BertConfig(**{**SIZES, "num_hidden_layers": 3})
    deeper.save_pretrained(tmp_path)
    with pytest.raises(CrossRayError, match=r"lack \d+ tensors"):
        TextTower(replace(SMALL, weights=f"path:{tmp_path}"))


@pytest.mark.parametrize(
    ("config", "word"),
    [
        (replace(SMALL, vocab_size=0), "tokenizer has 0 entries"),
        (replace(SMALL, architecture=BertConfig(**SIZES).to_dict(), vocab_size=51), "room for 50"),
        (replace(SMALL, architecture=BertConfig(**SIZES).to_dict(), max_tokens=21), "max_tokens"),
        (replace(SMALL, architecture=RobertaConfig(**SIZES).to_dict(), max_tokens=19), "3 to 18"),
        (replace(SMALL, architecture={"model_type": "of-dreams"}), "of-dreams"),
        (replace(SMALL, shape=BertShape(2, 30, 4, 64)), "multiple"),
    ],
)
def test_bad_configurations_are_explained(config: TextTowerConfig, word: str) -> None:
    """A vocabulary that does not fit must fail here, not as an index error on the accelerator."""
    with pytest.raises(CrossRayError, match=word):
        TextTower(config)


def test_remote_code_is_refused(tmp_path: Path) -> None:
    """A folder from the internet must not run code of its own."""
    (tmp_path / "config.json").write_text(
        '{"model_type": "bert", "auto_map": {"AutoModel": "x.Y"}}'
    )
    with pytest.raises(CrossRayError, match="transformers itself"):
        TextTower(replace(SMALL, weights=f"path:{tmp_path}"))


def test_too_long_text_is_explained() -> None:
    """Beyond the last position there is no embedding; the user must hear about truncation."""
    with pytest.raises(CrossRayError, match="truncate"):
        TextTower(SMALL)(torch.ones(1, 17).long(), torch.ones(1, 17).bool())
