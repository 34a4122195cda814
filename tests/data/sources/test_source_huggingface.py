"""Parquet and Arrow files in the layout of the Hugging Face hub."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crossray.core.errors import CrossRayError
from crossray.data.sources.huggingface import HuggingFaceSource

Judge = Callable[..., list[dict[str, Any]]]
Encode = Callable[..., bytes]
IMAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})


def _table(encode: Encode, count: int, first: int = 0) -> pa.Table:
    return pa.table(
        {
            "image": pa.array(
                [
                    {"bytes": encode("PNG", seed=first + i), "path": f"{i}.png"}
                    for i in range(count)
                ],
                IMAGE,
            ),
            "text": [f"text {first + i}" for i in range(count)],
            "tags": [["a", "b"][: (first + i) % 3] for i in range(count)],
            "key": [f"k{first + i}" for i in range(count)],
            "unread": list(range(count)),
        }
    )


@pytest.fixture
def hub(tmp_path: Path, encode: Encode) -> Path:
    """Two training shards with several row groups and one validation shard."""
    (tmp_path / "data").mkdir()
    for name, count, first in (
        ("train-00000-of-00002", 40, 0),
        ("train-00001-of-00002-0a1b2c", 30, 40),
        ("validation-00000-of-00001", 5, 70),
    ):
        pq.write_table(
            _table(encode, count, first), tmp_path / f"data/{name}.parquet", row_group_size=18
        )
    return tmp_path


def test_parquet_folder(hub: Path, judge: Judge, encode: Encode) -> None:
    """Rows of the hub's standard layout must keep order, split and content."""
    rows = judge(HuggingFaceSource(str(hub), label_column="tags"))
    assert [row["texts"] for row in rows] == [[f"text {i}"] for i in range(75)]
    assert [row["split"] for row in rows] == ["train"] * 70 + ["val"] * 5
    assert [rows[0]["item_id"], rows[69]["item_id"], rows[70]["item_id"]] == [
        "train-0", "train-69", "val-0",
    ]  # fmt: skip
    assert rows[5]["labels"] == ["a", "b"]
    assert all(row["image"] == encode("PNG", seed=i) for i, row in enumerate(rows))


def test_glob_and_id_column(hub: Path, judge: Judge) -> None:
    """One shard of a large set is how everybody tries it first."""
    source = HuggingFaceSource(str(hub / "data/train-00001*.parquet"), id_column="key")
    assert [row["item_id"] for row in judge(source)] == [f"k{i}" for i in range(40, 70)]


@pytest.mark.parametrize("form", ["stream", "file"])
def test_arrow_files(tmp_path: Path, judge: Judge, encode: Encode, form: str) -> None:
    """What the datasets library keeps in its cache is Arrow, not Parquet."""
    table = _table(encode, 20)
    folder = tmp_path / "test"
    folder.mkdir()
    writer = pa.ipc.new_stream if form == "stream" else pa.ipc.new_file
    with writer(str(folder / "data-00000-of-00001.arrow"), table.schema) as sink:
        sink.write_table(table, max_chunksize=6)
    rows = judge(HuggingFaceSource(str(tmp_path)))
    assert [row["texts"] for row in rows] == [[f"text {i}"] for i in range(20)]
    assert {row["split"] for row in rows} == {"test"}


def test_saved_by_the_datasets_library(tmp_path: Path, judge: Judge, encode: Encode) -> None:
    """The layout is defined by what that library writes."""
    content = {
        "image": [encode("PNG", seed=i) for i in range(6)],
        "text": [f"t{i}" for i in range(6)],
    }
    features = datasets.Features({"image": datasets.Image(), "text": datasets.Value("string")})
    written = datasets.Dataset.from_dict(content, features=features)
    datasets.DatasetDict({"train": written}).save_to_disk(str(tmp_path / "saved"))
    written.to_parquet(str(tmp_path / "flat/test.parquet"))
    for folder, split in (("saved", "train"), ("flat", "test")):
        rows = judge(HuggingFaceSource(str(tmp_path / folder)))
        assert [row["image"] for row in rows] == content["image"]
        assert [(row["texts"], row["split"]) for row in rows] == [
            ([f"t{i}"], split) for i in range(6)
        ]


def test_hub_id_reads_the_cache(
    hub: Path, tmp_path: Path, judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An id must give the same rows as the folder that it stands for."""
    load = datasets.load_dataset
    monkeypatch.setattr(
        datasets,
        "load_dataset",
        lambda name: (
            load(str(hub), cache_dir=str(tmp_path / "cache")) if name == "me/set" else None
        ),
    )
    source = HuggingFaceSource("me/set")
    rows = judge(source)
    assert [row["texts"] for row in rows] == [[f"text {i}"] for i in range(75)]
    assert [row["split"] for row in rows] == ["train"] * 70 + ["val"] * 5
    assert source.identity()["path"] == "me/set"
    assert "path" not in HuggingFaceSource(str(hub)).identity()


def test_hub_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network the user must read what to do, not a chain of tracebacks."""

    def offline(name: str) -> None:
        raise ConnectionError(f"Couldn't reach {name!r} on the Hub")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(CrossRayError, match="check the id and the network"):
        HuggingFaceSource("nobody/nothing").plan()


@pytest.mark.parametrize("path", ["/no/such/folder", "./nothing", "a/b/c/*.parquet"])
def test_missing_folder_is_no_hub_id(path: str) -> None:
    """A mistyped folder must not be looked up on the network."""
    with pytest.raises(CrossRayError, match="no Parquet or Arrow file"):
        HuggingFaceSource(path).plan()


def test_other_shapes_of_columns(tmp_path: Path, judge: Judge, encode: Encode) -> None:
    """Sets give images as bytes or as paths, texts as lists."""
    (tmp_path / "p").mkdir()
    (tmp_path / "p/a.png").write_bytes(encode("PNG"))
    images = [{"bytes": None, "path": "p/a.png"}, {"bytes": None, "path": "../secret"}, None]
    texts = [["one", " two "], ["x"], ["x"]]
    pq.write_table(
        pa.table({"image": pa.array(images, IMAGE), "text": texts}), tmp_path / "x.parquet"
    )
    rows = judge(HuggingFaceSource(str(tmp_path)))
    assert rows[0]["image"] == encode("PNG")
    assert rows[0]["texts"] == ["one", "two"]
    assert [row["reason"] for row in rows] == [None, "image outside the folder", "missing image"]
    pq.write_table(pa.table({"image": [encode("PNG")], "text": ["t"]}), tmp_path / "x.parquet")
    assert judge(HuggingFaceSource(str(tmp_path)))[0]["image"] == encode("PNG")


def test_paths_of_images(tmp_path: Path, judge: Judge, encode: Encode) -> None:
    """A column of file names is how metadata lies beside a folder of images."""
    (tmp_path / "train/deep").mkdir(parents=True)
    for at, name in enumerate(("train/deep/a.png", "shared.png")):
        (tmp_path / name).write_bytes(encode("PNG", seed=at))
    names = ["deep/a.png", "shared.png", "../shared.png", "../../secret", "b.png", "nan", None,
             str(tmp_path / "shared.png"), "x" * 300, "a\0b"]  # fmt: skip
    table = pa.table({"file_name": names, "text": ["t"] * len(names)})
    pq.write_table(table, tmp_path / "train/metadata.parquet")
    rows = judge(HuggingFaceSource(str(tmp_path), image_column="file_name"))
    assert [row["reason"] for row in rows] == [
        None, None, None, "image outside the folder", *["missing image"] * 3, None,
        "missing image", "missing image",
    ]  # fmt: skip
    shared = encode("PNG", seed=1)
    assert [row["image"] for row in rows[:3]] == [encode("PNG"), shared, shared]
    assert rows[4]["detail"] == "there is no file 'b.png'"
    assert {row["split"] for row in rows if row["split"]} == {"train"}


def test_fields_of_structs(tmp_path: Path, judge: Judge) -> None:
    """Captions as the hub's sets nest them must be read by their field, nulls left out."""
    classes = datasets.ClassLabel(names=["cat", "dog"])
    table = pa.table(
        {
            "sentences": [[{"raw": "A."}, None, {"raw": "B."}], [{"raw": None}, {"raw": "C."}]],
            "both": [{"de": "Ein.", "en": "One."}, {"de": None, "en": "Two."}],
            "lists": [{"raw": ["D.", "E."]}, None],
            "a.b": ["plain", "plain"],
            "meta": [{"key": 7}, {"key": 8}],
            "objects": [{"category": [1, 0]}, {"category": [-1]}],
        }
    )
    note = datasets.Features(
        {
            "sentences": datasets.List({"raw": datasets.Value("string")}),
            "objects": {"category": datasets.List(classes)},
        }
    )
    metadata = datasets.Dataset.from_dict(
        {"sentences": [], "objects": []}, features=note
    ).data.schema.metadata
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "train.parquet")
    columns = "sentences.raw,both.en,both.de,lists.raw,a.b"
    source = HuggingFaceSource(
        str(tmp_path), image_column="", text_columns=columns, id_column="meta.key",
        label_column="objects.category",
    )  # fmt: skip
    raw = _raw(source)
    assert [list(filter(None, row["texts"])) for row in raw] == [
        ["A.", "B.", "One.", "Ein.", "D.", "E.", "plain"], ["C.", "Two.", "plain"],
    ]  # fmt: skip
    assert [row["item_id"] for row in raw] == ["7", "8"]
    assert [row["labels"] for row in raw] == [["dog", "cat"], []]


def _raw(source: HuggingFaceSource) -> list[Any]:
    """The rows as the importer gives them, before the checks that all importers share."""
    plan = source.plan()
    return [plan.reader.row(raw) for unit in plan.units for _, raw in plan.reader.read(unit)]


TYPES = {
    "struct": ([{"raw": "A.", "n": 1}], "struct<raw: string, n: int64>", ["x.raw"]),
    "structs": ([[{"raw": "A."}]], "list<struct<raw: string>>", ["x.raw"]),
    "deep": ([{"a": {"b": ["A."], "c": [["A."]]}}], "struct<a: struct<", ["x.a.b"]),
    "without": ([{"n": 1}], "struct<n: int64>", []),
    "map": (pa.array([[("k", "v")]], pa.map_(pa.string(), pa.string())), "map<string, string", []),
    "lists": ([[["A."]]], "list<list<string>>", []),
    "numbers": ([float("nan")], "double", []),
    "counts": ([3], "int64", []),
    "truth": ([True], "bool", []),
    "bytes": ([b"A."], "binary", []),
    "times": (pa.array([0], pa.timestamp("ms")), "timestamp[ms]", []),
}


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("role", ["text", "label"])
def test_columns_that_hold_no_text(tmp_path: Path, kind: str, role: str) -> None:
    """A Python value written out would become the caption or the label of every item."""
    values, spelt, nested = TYPES[kind]
    pq.write_table(pa.table({"text": ["t"], "x": values}), tmp_path / "train.parquet")
    options: dict[str, Any] = {"text": {"text_columns": "text,x"}, "label": {"label_column": "x"}}
    with pytest.raises(CrossRayError) as error:
        HuggingFaceSource(str(tmp_path), image_column="", **options[role]).plan()
    assert f"column 'x' of {tmp_path}/train.parquet is {spelt}" in str(error.value)
    for name in nested:
        assert f"take a field of it: {name}." in str(error.value)
    assert nested or "--text-columns" in str(error.value) or "--label-column" in str(error.value)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("image", [[b"1", b"2"]], "is list<binary>, not bytes"),
        ("image", [[{"bytes": b"1", "path": "a"}]], "is list<struct<bytes: binary, path: string>>"),
        ("image", [{"pixels": b"1"}], "take a field of it: image.pixels"),
        ("image", [[[0, 1], [2, 3]]], "is list<list<int64>>"),
        ("image", [7], "is int64"),
        ("id", [1.5], "is double, not a string or a whole number"),
        ("id", [["a"]], "is list<string>"),
        ("id", [{"key": 1}], "take a field of it: id.key"),
        ("split", [["train"]], "is list<string>"),
        ("split", [0.5], "is double"),
    ],
)
def test_columns_of_another_type(
    column: str, values: list[Any], message: str, tmp_path: Path
) -> None:
    """A column that cannot be what the user says must be refused before any row is read."""
    content = {"text": ["t"], "image": ["a.png"], "id": ["1"], "split": ["train"], column: values}
    pq.write_table(pa.table(content), tmp_path / "train.parquet")
    with pytest.raises(CrossRayError) as error:
        HuggingFaceSource(str(tmp_path), id_column="id", split_column="split").plan()
    assert message in str(error.value)


def test_every_file_is_looked_at(tmp_path: Path) -> None:
    """A column of another type in the last shard would otherwise stop the ingest after hours."""
    pq.write_table(pa.table({"text": ["t"]}), tmp_path / "train-00000-of-00002.parquet")
    pq.write_table(pa.table({"text": [1.5]}), tmp_path / "train-00001-of-00002.parquet")
    with pytest.raises(CrossRayError, match=r"train-00001-of-00002\.parquet is double"):
        HuggingFaceSource(str(tmp_path), image_column="").plan()


def test_types_that_stand_for_strings(tmp_path: Path) -> None:
    """Writers choose among many types for one thing."""
    words = pa.array(["one", None, "one"])
    columns = {
        "large": words.cast(pa.large_string()),
        "coded": words.dictionary_encode(),
        "view": words.cast(pa.string_view()),
        "list": pa.array([["one"], [None], ["one"]], pa.large_list(pa.large_string())),
        "two": pa.array([["one"], None, ["one"]], pa.list_(pa.string(), 1)),
        "null": pa.nulls(3),
    }
    table = pa.table({**columns, "id": pa.array([1, 2, 3], pa.uint8())})
    with pa.ipc.new_file(str(tmp_path / "train.arrow"), table.schema) as sink:
        sink.write_table(table)
    source = HuggingFaceSource(
        str(tmp_path), image_column="", text_columns=",".join(columns), id_column="id",
        label_column="coded",
    )  # fmt: skip
    rows = _raw(source)
    assert [list(filter(None, row["texts"])) for row in rows] == [["one"] * 5, [], ["one"] * 5]
    assert [row["labels"] for row in rows] == [["one"], [], ["one"]]
    assert [row["item_id"] for row in rows] == ["1", "2", "3"]


def test_words_for_missing_values(tmp_path: Path, judge: Judge) -> None:
    """What a program wrote into an empty cell is nobody's caption, label or id."""
    words = ["nan", "NaN", "None", "null", "NULL", "N/A", "<NA>", " ", None]
    content = {
        "text": [*words, "None of them smiles."],
        "label": [*words, "no finding"],
        "id": ["a", "b", *words[2:], "c"],
    }
    pq.write_table(pa.table(content), tmp_path / "train.parquet")
    options: dict[str, Any] = {"image_column": "", "label_column": "label", "id_column": "id"}
    rows = judge(HuggingFaceSource(str(tmp_path), **options))
    assert [row["reason"] for row in rows] == [
        *["missing text"] * 2, *["missing id"] * 7, None,
    ]  # fmt: skip
    assert rows[-1]["texts"] == ["None of them smiles."]
    pq.write_table(pa.table({**content, "text": ["t"] * 10}), tmp_path / "train.parquet")
    rows = judge(HuggingFaceSource(str(tmp_path), image_column="", label_column="label"))
    assert [row["labels"] for row in rows] == [[]] * 9 + [["no finding"]]


def _files(folder: Path, *names: str) -> None:
    for at, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"text": [f"t{at}", f"u{at}"]}), folder / name)


def _splits(path: object, **options: Any) -> list[str | None]:
    plan = HuggingFaceSource(str(path), image_column="", **options).plan()
    return [unit["split"] for unit in plan.units]


def test_splits_of_files_given_directly(tmp_path: Path) -> None:
    """The test images of a set that is tried file by file must not be shared out anew."""
    _files(tmp_path, "train/part-0.parquet", "test/part-0.parquet", "data/validation-0.parquet")
    assert _splits(tmp_path) == ["val", "test", "train"]
    _files(tmp_path / "one", "dev/part[1].parquet")
    assert _splits(tmp_path / "one/dev/part[1].parquet") == ["val"]
    assert _splits(tmp_path / "train/part-0.parquet") == ["train"]
    assert _splits(tmp_path / "data/validation-0.parquet") == ["val"]
    assert _splits(tmp_path / "test") == ["test"]
    assert _splits(tmp_path / "test/*.parquet") == ["test"]
    assert _splits(tmp_path / "t*/part-0.parquet") == ["test", "train"]


def test_unknown_names_are_refused(tmp_path: Path) -> None:
    """Rows of a file that nobody placed must not be shared out beside those of the others."""
    _files(tmp_path, "train.parquet", "test.parquet", "restval.parquet")
    with pytest.raises(CrossRayError, match=r"'restval' names no known split.*restval=train"):
        _splits(tmp_path)
    assert _splits(tmp_path, split_map=("restval=train",)) == ["train", "test", "train"]
    with pytest.raises(CrossRayError, match="--split-map restval=rest does not say"):
        _splits(tmp_path, split_map=("restval=rest",))


def test_unknown_split_on_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, judge: Judge
) -> None:
    """The hub's sets have splits of any name, too."""
    _files(tmp_path, "data/train-0.parquet", "data/extra-0.parquet")
    load = datasets.load_dataset
    files = {split: str(tmp_path / f"data/{split}-0.parquet") for split in ("train", "extra")}
    monkeypatch.setattr(
        datasets,
        "load_dataset",
        lambda _: load("parquet", data_files=files, cache_dir=str(tmp_path / "cache")),
    )
    with pytest.raises(CrossRayError, match=r"'extra' names no known split, beside 'train'"):
        HuggingFaceSource("me/test", image_column="").plan()
    source = HuggingFaceSource("me/test", image_column="", split_map=("extra=val",))
    assert [row["split"] for row in judge(source)] == ["train"] * 2 + ["val"] * 2


def test_split_column(tmp_path: Path, judge: Judge) -> None:
    """A split in a column must win over the one that a file's name seems to give."""
    classes = datasets.ClassLabel(names=["train", "test"])
    features = datasets.Features({"text": datasets.Value("string"), "part": classes})
    content = {"text": ["a", "b", "c"], "part": [0, 1, -1]}
    datasets.Dataset.from_dict(content, features=features).to_parquet(tmp_path / "train.parquet")
    rows = judge(HuggingFaceSource(str(tmp_path), image_column="", split_column="part"))
    assert [row["split"] or row["reason"] for row in rows] == ["train", "test", "unknown split"]
    words = ["validate", "testA", "fold", None]
    pq.write_table(pa.table({"text": words, "part": words}), tmp_path / "train.parquet")
    rows = judge(
        HuggingFaceSource(
            str(tmp_path), image_column="", split_column="part", split_map=("TEST?=test",)
        )
    )
    assert [row["split"] for row in rows] == ["val", "test", None, None]
    assert rows[2]["detail"] == (
        "'fold' is not one of train, val, test; --split-map fold=train would make it one"
    )
    assert rows[3]["reason"] == "unknown split"


def _one_caption_a_row(encode: Encode, order: list[int]) -> pa.Table:
    """Rows 0 to 29 in an `order`: three captions of each of ten images."""
    pictures = [encode("PNG", seed=at) for at in range(10)]
    return pa.table(
        {
            "image": pa.array([{"bytes": pictures[at // 3], "path": None} for at in order], IMAGE),
            "text": [f"caption {at % 3} of {at // 3}" for at in order],
            "key": [at // 3 for at in order],
        }
    )


@pytest.mark.parametrize("order", ["together", "apart"])
def test_rows_of_one_image(tmp_path: Path, judge: Judge, encode: Encode, order: str) -> None:
    """Sets with a caption a row must give one item an image, across row groups and files."""
    rows = list(range(30))
    if order == "apart":
        rows.sort(key=lambda at: (at % 3, at))
    for number, part in enumerate((rows[:16], rows[16:])):
        pq.write_table(
            _one_caption_a_row(encode, part),
            tmp_path / f"train-0000{number}-of-00002.parquet",
            row_group_size=7,
        )
    found = judge(HuggingFaceSource(str(tmp_path), id_column="key", group_captions=True))
    assert [row["item_id"] for row in found] == [str(at) for at in range(10)]
    assert [row["texts"] for row in found] == [
        [f"caption {k} of {at}" for k in range(3)] for at in range(10)
    ]
    assert [row["image"] for row in found] == [encode("PNG", seed=at) for at in range(10)]


def test_rows_of_one_image_that_disagree(tmp_path: Path, judge: Judge, encode: Encode) -> None:
    """Two images under one id, or one in two splits, are an error of the set."""
    table = _one_caption_a_row(encode, [0, 1, 3, 4, 6])
    other = table.set_column(2, "key", pa.array([0, 0, 0, 1, 2]))
    pq.write_table(other, tmp_path / "train.parquet")
    pq.write_table(other.slice(4), tmp_path / "test.parquet")
    rows = judge(HuggingFaceSource(str(tmp_path), id_column="key", group_captions=True))
    assert [row["reason"] for row in rows] == ["rows disagree", "rows disagree", None]
    assert {row["texts"][0] for row in rows if row["texts"]} == {"caption 1 of 1"}
    details = [row["detail"] for row in rows if row["detail"]]
    assert any("different split: 'test' and 'train'" in detail for detail in details)
    assert any("different image: " in detail for detail in details)


def test_captions_without_an_id_to_join_them_by(tmp_path: Path) -> None:
    """Without an id every row is an item."""
    _files(tmp_path, "train.parquet")
    with pytest.raises(CrossRayError, match=r"--group-captions joins .* --id-column"):
        HuggingFaceSource(str(tmp_path), image_column="", group_captions=True).plan()


def test_wrong_encoding_costs_one_row(tmp_path: Path, judge: Judge, encode: Encode) -> None:
    """Files by careless writers hold bytes that are not UTF-8; the other rows are good."""
    bad = pa.array([b"good", b"caf\xe9", b"good"]).view(pa.string())
    image = pa.array([{"bytes": encode("PNG"), "path": None}] * 3, IMAGE)
    pq.write_table(pa.table({"image": image, "text": bad}), tmp_path / "train.parquet")
    rows = judge(HuggingFaceSource(str(tmp_path)))
    assert [row["reason"] for row in rows] == [None, "not UTF-8", None]
    assert rows[1]["where"] == "train.parquet row 1"


def test_document(tmp_path: Path, judge: Judge, encode: Encode) -> None:
    """Reports on the hub are documents, too."""
    image = pa.array([{"bytes": encode("PNG"), "path": None}], IMAGE)
    table = pa.table({"image": image, "findings": ["Heart normal. Lungs clear."]})
    pq.write_table(table, tmp_path / "train.parquet")
    row = judge(HuggingFaceSource(str(tmp_path), text_columns="findings", document=True))[0]
    assert row["texts"] == ["Heart normal.", "Lungs clear."]
    assert row["sections"] == [{"name": "findings", "start": 0, "stop": 2}]


def test_unusable_files(tmp_path: Path, encode: Encode) -> None:
    """Wrong columns and damaged files must be refused before any work is done."""
    pq.write_table(_table(encode, 3), tmp_path / "train.parquet")
    with pytest.raises(CrossRayError, match="no column 'caption'; its columns are image, text"):
        HuggingFaceSource(str(tmp_path), text_columns="caption").plan()
    (tmp_path / "test.parquet").write_bytes(b"PAR1 cut")
    with pytest.raises(CrossRayError, match="cannot be read"):
        HuggingFaceSource(str(tmp_path)).plan()


def test_class_numbers(tmp_path: Path, judge: Judge, encode: Encode) -> None:
    """Labels 0 and 1 say nothing; the hub's files name their classes."""
    classes = datasets.ClassLabel(names=["film", "photo"])
    features = datasets.Features(
        {"text": datasets.Value("string"), "kind": classes, "kinds": datasets.List(classes)}
    )
    content = {"text": ["a", "b", "c"], "kind": [1, 0, -1], "kinds": [[0, 1], [1], []]}
    table = datasets.Dataset.from_dict(content, features=features)
    table.to_parquet(tmp_path / "train.parquet")
    options: dict[str, Any] = {"image_column": "", "label_column": "kind"}
    rows = judge(HuggingFaceSource(str(tmp_path), **options))
    assert [row["labels"] for row in rows] == [["photo"], ["film"], []]
    rows = judge(HuggingFaceSource(str(tmp_path), **options | {"label_column": "kinds"}))
    assert [row["labels"] for row in rows] == [["film", "photo"], ["photo"], []]
    schema = pq.read_schema(tmp_path / "train.parquet")
    wrong = pa.table({**content, "kind": [1, 7, 0]}, schema=schema)
    pq.write_table(wrong, tmp_path / "train.parquet")
    rows = judge(HuggingFaceSource(str(tmp_path), **options))
    assert [row["reason"] for row in rows] == [None, "malformed row", None]


def test_rocov2(tmp_path: Path, judge: Judge, encode: Encode) -> None:
    """ROCOv2 is handed out on the hub alone: captions, and concepts as lists."""
    for split, first in (("train", 0), ("validation", 2), ("test", 4)):
        table = pa.table(
            {
                "image": pa.array([{"bytes": encode(seed=first + k), "path": None} for k in (0, 1)],
                                  IMAGE),
                "image_id": [f"ROCOv2_2023_{split}_{k:06d}" for k in (1, 2)],
                "caption": [f"CT {first + k}" for k in (0, 1)],
                "cui": [["C0040405"], ["C0040405", "C0817096"]],
            }
        )  # fmt: skip
        (tmp_path / "data").mkdir(exist_ok=True)
        pq.write_table(table, tmp_path / f"data/{split}-00000-of-00001.parquet")
    options: dict[str, Any] = {
        "text_columns": "caption",
        "id_column": "image_id",
        "label_column": "cui",
    }
    rows = judge(HuggingFaceSource(str(tmp_path), **options))
    assert Counter(row["split"] for row in rows) == {"train": 2, "val": 2, "test": 2}
    by_id = {row["item_id"]: row for row in rows}
    last = by_id["ROCOv2_2023_validation_000002"]
    assert (last["split"], last["texts"]) == ("val", ["CT 3"])
    assert last["labels"] == ["C0040405", "C0817096"]
    assert last["image"] == encode(seed=3)
