"""Several splits as one corpus."""

from __future__ import annotations

import torch

from crossray.data.corpora.joined import JoinedCorpus
from support.corpora import RandomCorpus


def test_rows_are_those_of_the_parts_in_order() -> None:
    """A hit would be shown with another item's text, or counted by another item's labels."""
    parts = [RandomCorpus(items=items, texts=2) for items in (3, 1, 4)]
    joined = JoinedCorpus(parts)
    rows = [(part, own) for part in parts for own in range(len(part))]
    assert len(joined) == len(rows) == 8
    for row, (part, own) in enumerate(rows):
        assert joined.item_ids[row] == part.item_ids[own]
        assert joined.labels[row] == part.labels[own]
        assert joined.keys_N[row] == part.keys_N[own]
        assert torch.equal(joined.image(row), part.image(own))
        assert joined.text_count(row) == part.text_count(own)
        for number in range(2):
            assert torch.equal(joined.text(row, number), part.text(own, number))
    last = [joined.image(row) for row in range(4, 8)]
    together, alone = joined.collate_images(last), parts[2].collate_images(last)
    assert together.pixels_BCYX is not None
    assert torch.equal(together.pixels_BCYX, alone.pixels_BCYX)
