"""CSV tables."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crossray.core.errors import CrossRayError
from crossray.data.sources.csv import CsvSource

Judge = Callable[..., list[dict[str, Any]]]
WriteTable = Callable[..., tuple[str, str]]

ROWS = [
    {"image": "a.jpg", "c0": "A dog, running.", "c1": "Ein \u201eHund\u201c", "tags": "dog| run |"},
    {"image": "b.jpg", "c0": 'Says "hi"\nand waves', "c1": "", "tags": ""},
]


def test_captions(write_table: WriteTable, judge: Judge) -> None:
    """Quotes, line breaks and accents in captions must survive; blank captions are no captions."""
    table, images = write_table(ROWS)
    rows = judge(CsvSource(table, images, "c0,c1", label_column="tags"))
    assert [row["item_id"] for row in rows] == ["a.jpg", "b.jpg"]
    assert rows[0]["texts"] == ["A dog, running.", "Ein \u201eHund\u201c"]
    assert rows[1]["texts"] == ['Says "hi"\nand waves']
    assert [row["labels"] for row in rows] == [["dog", "run"], []]
    assert [row["sections"] for row in rows] == [[], []]
    assert [row["where"] for row in rows] == ["line 2", "line 3"]
    assert rows[0]["group_id"] == "a.jpg"


def test_document(write_table: WriteTable, judge: Judge) -> None:
    """Report sentences read as captions would each be taken for the whole finding."""
    rows = [{"image": "a.jpg", "findings": "Heart normal. Lungs clear.", "impression": "Normal."}]
    table, images = write_table(rows)
    row = judge(CsvSource(table, images, "findings,impression", document=True))[0]
    assert row["texts"] == ["Heart normal.", "Lungs clear.", "Normal."]
    assert row["sections"] == [
        {"name": "findings", "start": 0, "stop": 2},
        {"name": "impression", "start": 2, "stop": 3},
    ]


def test_all_columns(write_table: WriteTable, judge: Judge) -> None:
    """Each column must land in its own field."""
    rows = [
        {"study": "s1", "image": "a.jpg", "text": "t", "who": "p1", "fold": "validate",
         "labels": "x;y;x", "view": "PA", "secret": "name"},
    ]  # fmt: skip
    table, images = write_table(rows)
    source = CsvSource(
        table, images, "text", id_column="study", group_column="who", split_column="fold",
        label_column="labels", label_separator=";", meta_columns="view",
    )  # fmt: skip
    row = judge(source)[0]
    assert (row["item_id"], row["group_id"], row["split"]) == ("s1", "p1", "val")
    assert row["labels"] == ["x", "y"]
    assert row["meta"] == [("view", "PA")]


def test_unpaired_tables(write_table: WriteTable, judge: Judge) -> None:
    """Text without images, and images without text, are normal data."""
    table, images = write_table(ROWS)
    texts = judge(CsvSource(table, None, "c0"))
    assert [row["image"] for row in texts] == [None, None]
    assert [row["item_id"] for row in texts] == ["line-2", "line-3"]
    pictures = judge(CsvSource(table, images))
    assert [row["texts"] for row in pictures] == [[], []]
    assert all(row["image"] for row in pictures)


def test_lines_and_units(write_table: WriteTable, judge: Judge) -> None:
    """Rows found again at a wrong offset would mix the cells of two items."""
    rows = [
        {"image": "a.jpg", "id": str(i), "text": f"t{i}" + "\nmore" * (i % 3)} for i in range(300)
    ]
    table, images = write_table(rows)
    found = judge(CsvSource(table, images, "text", id_column="id"))
    assert [row["item_id"] for row in found] == [row["id"] for row in rows]
    assert [row["texts"] for row in found] == [[row["text"]] for row in rows]
    line = 2
    for row, raw in zip(found, rows, strict=True):
        assert row["where"] == f"line {line}"
        line += 1 + raw["text"].count("\n")


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("last", [True, False])
def test_what_spreadsheets_write(
    ending: str, mark: bytes, last: bool, tmp_path: Path, judge: Judge
) -> None:
    """Byte order mark, Windows line ends, blank lines and a missing last one are everyday."""
    lines = ["id,text", "a,one", "", 'b,"two, 2"', 'c,5" pipe']
    table = tmp_path / "t.csv"
    table.write_bytes(mark + (ending.join(lines) + (ending if last else "")).encode())
    rows = judge(CsvSource(str(table), None, "text", id_column="id"))
    assert [(r["item_id"], r["texts"], r["where"]) for r in rows] == [
        ("a", ["one"], "line 2"), ("b", ["two, 2"], "line 4"), ("c", ['5" pipe'], "line 5"),
    ]  # fmt: skip


def test_empty_image_cell_is_rejected(write_table: WriteTable, judge: Judge) -> None:
    """A forgotten file name must be seen, not become a text-only item."""
    table, images = write_table([*ROWS, {"image": "", "c0": "text", "c1": "", "tags": ""}])
    assert [row["reason"] for row in judge(CsvSource(table, images, "c0"))] == [
        None, None, "missing id",
    ]  # fmt: skip


def _bytes(tmp_path: Path, content: bytes) -> str:
    (tmp_path / "t.csv").write_bytes(content)
    return str(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"a,b\n1,2\n", "no column 'text'; its columns are a, b"),
        (b"text,fold\nhello,x1\nhello,x2\n", "'x1', 'x2'"),
        (b'text,fold\n"open,train\n', "not well-formed CSV"),
        (b"text,text,fold\na,b,train\n", "column 'text' twice"),
        ("text,fold\na,train\n".encode("utf-16"), "not UTF-8 text"),
        (b"PK\3\4\0\0\0\n\xff\xfe", "not UTF-8 text"),
    ],
)
def test_unusable_table(content: bytes, message: str, tmp_path: Path) -> None:
    """A wrong table must be refused at once, in words that say what is wrong with it."""
    source = CsvSource(_bytes(tmp_path, content), None, "text", split_column="fold")
    with pytest.raises(CrossRayError, match=message):
        source.plan()


def test_missing_inputs(write_table: WriteTable, tmp_path: Path) -> None:
    """A mistyped path must be named."""
    table, images = write_table(ROWS)
    with pytest.raises(CrossRayError, match="nowhere"):
        CsvSource(str(tmp_path / "nowhere.csv"), images, "c0").plan()
    with pytest.raises(CrossRayError, match="nowhere"):
        CsvSource(table, str(tmp_path / "nowhere"), "c0").plan()
    with pytest.raises(CrossRayError, match="--images nor --text-columns"):
        CsvSource(table).plan()
    with pytest.raises(CrossRayError, match="cannot be read"):
        CsvSource(str(tmp_path), images, "c0").plan()


def test_header_alone_has_no_rows(tmp_path: Path) -> None:
    """The engine refuses a plan without rows."""
    assert CsvSource(_bytes(tmp_path, b"text\n"), None, "text").plan().rows == 0


def test_masks_of_structures(write_table: WriteTable, judge: Judge) -> None:
    """Masks of any format become one bit a pixel; one of another size is on another image."""
    rows = [
        {"image": "a.jpg", "heart": "heart.png", "left lung": ""},
        {"image": "b.jpg", "heart": "../heart.png", "left lung": ""},
        {"image": "c.jpg", "heart": "", "left lung": "small.png"},
    ]
    table, images = write_table(rows)
    width, height = Image.open(Path(images, "a.jpg")).size
    mask = np.zeros((height, width), dtype=np.uint8)
    mask[2:5, 3:], mask[0, 0] = 200, 90
    Image.fromarray(mask).save(Path(images, "heart.png"))
    Image.fromarray(mask[:-1]).save(Path(images, "small.png"))
    taken, outside, small = judge(CsvSource(table, images, mask_columns="heart,left lung"))
    assert [each["name"] for each in taken["masks"]] == ["heart"]
    stored = Image.open(BytesIO(taken["masks"][0]["png"]))
    assert stored.mode == "1"
    np.testing.assert_array_equal(np.array(stored), mask > 128)
    assert outside["reason"] == "image outside the folder"
    assert small["reason"] == "malformed mask"
    assert small["detail"] == f"{width} x {height - 1} on an image of {width} x {height}"


def test_masks_need_their_images(write_table: WriteTable) -> None:
    """A path of a mask is one within the folder of images."""
    table, _ = write_table(ROWS)
    with pytest.raises(CrossRayError, match="names masks of images; give their folder"):
        CsvSource(table, text_columns="c0", mask_columns="c1").plan()


def _kaggle(count: int) -> list[dict[str, str]]:
    return [
        {"image": f"{at}.jpg", "caption": f"caption {k} of {at}"}
        for at in range(count)
        for k in range(5)
    ]


def test_one_caption_a_row(write_table: WriteTable, judge: Judge) -> None:
    """Kaggle's Flickr8k has five rows a photo; four in five would be lost as duplicates."""
    rows = judge(CsvSource(*write_table(_kaggle(70)), "caption", group_captions=True))
    assert [row["item_id"] for row in rows] == [f"{at}.jpg" for at in range(70)]
    assert [row["texts"] for row in rows] == [
        [f"caption {k} of {at}" for k in range(5)] for at in range(70)
    ]
    assert [row["where"] for row in rows[:3]] == ["line 2", "line 7", "line 12"]


def test_rows_of_one_item_far_apart(write_table: WriteTable, judge: Judge) -> None:
    """A table in the order of its captions' numbers holds an image's rows far apart."""
    table = sorted(_kaggle(70), key=lambda row: row["caption"])
    table[3]["caption"] += "\nand a second line"
    rows = judge(CsvSource(*write_table(table), "caption", group_captions=True))
    expected: dict[str, list[str]] = {}
    for row in table:
        expected.setdefault(row["image"], []).append(row["caption"])
    assert {row["item_id"]: row["texts"] for row in rows} == expected


def test_rows_of_one_item_that_disagree(write_table: WriteTable, judge: Judge) -> None:
    """Which of two patients or splits an image has must not depend on the order of rows."""
    same = {"id": "a", "image": "a.jpg", "text": "one", "part": "train", "who": "p", "tags": "x"}
    table = [
        {**same, "part": "training"}, {**same, "text": "two"},
        *({**same, "id": id_, **change} for id_, changes in {
            "b": ({}, {"part": "test"}), "c": ({}, {"who": "q"}), "d": ({}, {"image": "b.jpg"}),
            "e": ({}, {"tags": "x|y"}), "f": ({}, {"text": "three"}),
            "": ({}, {}), "nan": ({},),
        }.items() for change in changes),
    ]  # fmt: skip
    rows = judge(
        CsvSource(
            *write_table(table), "text", id_column="id", group_column="who", split_column="part",
            label_column="tags", group_captions=True,
        )
    )  # fmt: skip
    assert [row["item_id"] for row in rows if row["reason"] is None] == ["a", "f"]
    assert [row["texts"] for row in rows if row["reason"] is None] == [
        ["one", "two"], ["one", "three"],
    ]  # fmt: skip
    refused = [(row["reason"], row["detail"]) for row in rows if row["reason"]]
    assert refused[:2] == [
        ("rows disagree",
         "line 4 and line 5 have one id and different split: 'train' and 'test'"),
        ("rows disagree", "line 6 and line 7 have one id and different group: 'p' and 'q'"),
    ]  # fmt: skip
    assert refused[2][1].endswith("different image: 'a.jpg' and 'b.jpg'")
    assert [reason for reason, _ in refused] == ["rows disagree"] * 4 + ["missing id"] * 3


def test_malformed_rows_of_an_item(tmp_path: Path, judge: Judge) -> None:
    """A damaged line must be counted whether or not it tells whose it is."""
    table = _bytes(tmp_path, b"text,id\none,a\ntwo\nthree,a\nfour,b,x\nfive,c\nsix,\xff\n")
    rows = judge(CsvSource(table, None, "text", id_column="id", group_captions=True))
    assert [row["item_id"] or row["reason"] for row in rows] == [
        "a", "malformed row", "malformed row", "c", "not UTF-8",
    ]  # fmt: skip
    assert rows[0]["texts"] == ["one", "three"]


@pytest.mark.parametrize(
    "options", [{}, {"id_column": "text", "document": True}], ids=["no id", "document"]
)
def test_captions_without_an_id_to_join_them_by(options: dict[str, Any], tmp_path: Path) -> None:
    """Without an id every row is an item, and a report is one text already."""
    table = _bytes(tmp_path, b"text\none\n")
    with pytest.raises(CrossRayError, match=r"--group-captions joins .* --id-column"):
        CsvSource(table, None, "text", group_captions=True, **options).plan()


def test_words_of_the_split_column(write_table: WriteTable, judge: Judge) -> None:
    """COCO's `restval` is what the user says; what nobody placed is no item."""
    table, _ = write_table([{"text": word, "part": word} for word in ("test", "restval", "NA")])
    source = CsvSource(table, None, "text", split_column="part")
    rows = judge(source)
    assert rows[0]["split"] == "test"
    assert rows[1]["reason"] == "unknown split"
    assert "--split-map restval=train" in rows[1]["detail"]
    assert (rows[2]["reason"], rows[2]["detail"]) == ("unknown split", "the split is blank")
    rows = judge(
        CsvSource(table, None, "part", split_column="part", split_map=("rest*=train,na=val",))
    )
    assert [row["split"] for row in rows[:2]] == ["test", "train"]


def test_a_map_needs_its_column(tmp_path: Path) -> None:
    """A map that maps nothing was meant for a column."""
    table = _bytes(tmp_path, b"text\none\n")
    with pytest.raises(CrossRayError, match="name it with --split-column"):
        CsvSource(table, None, "text", split_map=("restval=train",)).plan()


def test_words_for_missing_values(write_table: WriteTable, judge: Judge) -> None:
    """All patients that are not known would be one patient, in one split."""
    words = ["nan", "NaN", "None", "null", "NULL", "N/A", "n/a", "<NA>", "NA", "#N/A", " nan "]
    table, _ = write_table(
        [
            {"id": f"{at}", "text": "t", "who": word, "tags": f"{word}|x", "note": word}
            for at, word in enumerate(words)
        ]
        + [{"id": "c", "text": word, "who": "p", "tags": "", "note": "Nancy"} for word in words]
    )
    rows = judge(
        CsvSource(
            table, None, "text", id_column="id", group_column="who", label_column="tags",
            meta_columns="note",
        )
    )  # fmt: skip
    known, unknown = rows[: len(words)], rows[len(words) :]
    assert [row["group_id"] for row in known] == [f"{at}" for at in range(len(words))]
    assert {tuple(row["labels"]) for row in known} == {("x",)}
    assert {tuple(row["meta"]) for row in known} == {()}
    assert {row["reason"] for row in unknown} == {"missing text"}
