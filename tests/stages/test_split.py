"""`crossray split`: pairs split anew through the command line, judged by loops over plain rows."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crossray.cli import main
from crossray.core.artifacts import Artifact, open_artifact, verify
from crossray.data import shards
from crossray.data.phantom import DISCLAIMER, PhantomConfig, generate
from crossray.data.split import SPLITS
from crossray.stages.split import TEXT_HALF
from support.pairs import phantom_pairs, read_pairs, write_pairs

Rows = list[dict[str, Any]]
ITEMS = 240
MAKERS = {
    "groups": "groups --val 0.2 --test 0.2",
    "zero-shot": "zero-shot --held-out Edema Fracture",
    "few-shot": "few-shot --held-out Edema Fracture --shots 2",
    "annotation": "annotation --fraction 0.3",
    "coverage": "coverage --coverage 0.5",
    "fold": "fold --fold 3 --folds 4",
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the pairs `p`: films in many row groups and files, some without a partner."""
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "GROUP_ROWS", 17)
        patch.setattr(shards, "SHARD_BYTES", 1 << 20)
        pairs = phantom_pairs(
            str(folder / "p"), ITEMS, unpaired=0.1, uncertain_labels=0.2, near_duplicates=0.1
        )
    assert len(pairs.manifest.payload) > 1, "several files"
    return folder


@pytest.fixture
def split(store: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Artifact]:
    """Runs `crossray split`: `split(out, how)`; what is there already is opened."""
    monkeypatch.setenv("CROSSRAY_STORE", str(store))

    def run(out: str, how: str) -> Artifact:
        if not (store / out).exists():
            main(["split", "p", "--out", out, *how.split()])
        return open_artifact(str(store / out), "pairs")

    return run


@pytest.fixture
def before(store: Path) -> Rows:
    """The rows that are split."""
    return _rows(open_artifact(str(store / "p")))


def _rows(pairs: Artifact) -> Rows:
    rows: Rows = read_pairs(pairs).to_pylist()
    return rows


def _doubtful(row: dict[str, Any]) -> set[str]:
    """The labels that a row carries, and those that it may carry."""
    return {*row["labels"], *re.split("[;|]", dict(row["meta"]).get("uncertain", ""))}


def _is_pair(row: dict[str, Any]) -> bool:
    return row["image"] is not None and len(row["texts"]) > 0


@pytest.mark.parametrize("how", MAKERS)
def test_what_is_split_anew_is_whole_in_order_and_without_leaks(
    split: Callable[[str, str], Artifact], store: Path, before: Rows, how: str
) -> None:
    """Every later stage reads these pairs as it reads those of an ingest."""
    pairs = split(how, MAKERS[how])
    verify(pairs)
    main(["check", how])
    order = {row["item_id"]: number for number, row in enumerate(before)}
    places = [order[row["item_id"].removesuffix(TEXT_HALF)] for row in _rows(pairs)]
    assert places == sorted(places)
    parent = open_artifact(str(store / "p"))
    assert [found.id for found in pairs.manifest.parents] == [parent.id]
    assert pairs.manifest.notes[0] == DISCLAIMER
    assert len(pairs.manifest.notes) == 2, "how the split was made"
    counts = Counter(row["split"] for row in _rows(pairs))
    assert pairs.manifest.metrics["splits"] == {name: counts[name] for name in SPLITS}
    labels = Counter(name for row in _rows(pairs) for name in row["labels"])
    assert pairs.manifest.metrics["labels"] == dict(labels)


@pytest.mark.parametrize("how", MAKERS)
def test_the_same_split_has_the_same_id(
    split: Callable[[str, str], Artifact], how: str
) -> None:  # fmt: skip
    """Whoever repeats a split elsewhere must be able to tell that it is the same."""
    first = split(how, MAKERS[how])
    assert split(f"{how}-again", MAKERS[how]).id == first.id
    other = split(f"{how}-other", f"{MAKERS[how]} --seed 1")
    assert other.id != first.id
    assert {**other.manifest.config, "seed": 0} == first.manifest.config


def test_groups_share_the_splits_anew(split: Callable[[str, str], Artifact], before: Rows) -> None:
    """The row may change its split and nothing else."""
    after = _rows(split("groups", MAKERS["groups"]))
    unsplit = [{**row, "split": ""} for row in after]
    assert unsplit == [{**row, "split": ""} for row in before]
    shares = {name: set() for name in SPLITS}  # type: ignore[var-annotated]
    for row in after:
        shares[row["split"]].add(row["group_id"])
    groups = {row["group_id"] for row in before}
    assert sum(len(found) for found in shares.values()) == len(groups), "no patient crosses"
    assert all(0.1 < len(shares[name]) / len(groups) < 0.3 for name in ("val", "test"))


def test_training_never_saw_what_zero_shot_asks_for(
    split: Callable[[str, str], Artifact], before: Rows
) -> None:
    """A zero-shot figure would be measured on findings that were learnt."""
    pairs = split("zero-shot", MAKERS["zero-shot"])
    tainted = {r["group_id"] for r in before if _doubtful(r) & {"Edema", "Fracture"}}
    wanted = [r for r in before if r["split"] == "test" or r["group_id"] not in tainted]
    assert _rows(pairs) == wanted
    assert pairs.manifest.config["held_out"] == ["Edema", "Fracture"]
    assert pairs.manifest.metrics["left_out"] == ITEMS - len(wanted)
    assert {"Edema", "Fracture"} <= pairs.manifest.metrics["labels"].keys(), "test still asks"


def test_drawn_labels_are_findings_and_stand_in_the_manifest(
    split: Callable[[str, str], Artifact],
) -> None:
    """`Edema/mild` held out without `Edema` would hide nothing."""
    pairs = split("drawn", "zero-shot")
    held_out = pairs.manifest.config["held_out"]
    assert len(held_out) == 3, "24 % of fourteen findings"
    assert not [name for name in held_out if "/" in name]
    for row in _rows(pairs):
        found = {name.split("/")[0] for name in _doubtful(row)}
        assert row["split"] == "test" or not found & set(held_out)


def test_few_shots_are_added_to_zero_shot(
    split: Callable[[str, str], Artifact], before: Rows
) -> None:
    """The curve from zero to a few examples must change nothing but the examples."""
    zero = {row["item_id"] for row in _rows(split("zero-shot", MAKERS["zero-shot"]))}
    added = {}
    for shots, draw in ((1, 0), (2, 0), (2, 1)):
        how = f"few-shot --held-out Edema Fracture --shots {shots} --draw {draw}"
        rows = {row["item_id"]: row for row in _rows(split(f"few-{shots}-{draw}", how))}
        assert zero <= rows.keys()
        new = [rows[name] for name in rows.keys() - zero]
        assert all(row["split"] == "train" and _is_pair(row) for row in new)
        assert all({"Edema", "Fracture"} & set(row["labels"]) for row in new)
        for label in ("Edema", "Fracture"):
            assert sum(label in row["labels"] for row in new) >= shots
        assert len(new) <= 2 * shots
        added[shots, draw] = {row["item_id"] for row in new}
    assert added[1, 0] < added[2, 0]
    assert added[2, 0] != added[2, 1]
    assert all(row in before for row in _rows(split("few-2-0", MAKERS["few-shot"])))


def test_fewer_annotations_take_pairs_apart(
    split: Callable[[str, str], Artifact], before: Rows
) -> None:
    """A pair that stays by accident, or a label left on an image, would be annotation too."""
    pairs = sum(row["split"] == "train" and _is_pair(row) for row in before)
    kept: dict[str, set[str]] = {}
    for fraction in ("0.05", "0.3", "0.5"):
        after = _rows(split(f"annotation-{fraction}", f"annotation --fraction {fraction}"))
        found = {row["item_id"]: row for row in after}
        kept[fraction] = set()
        for row in before:
            text = found.pop(row["item_id"] + TEXT_HALF, None)
            image = found.pop(row["item_id"])
            if text is None:
                assert image == row
                if row["split"] == "train" and _is_pair(row):
                    kept[fraction].add(row["item_id"])
                continue
            assert row["split"] == "train"
            bare = {"labels": [], "boxes": []}
            assert image == {**row, **bare, "texts": [], "sections": []}
            assert text == {**row, **bare, "image": None, "item_id": text["item_id"]}
        assert not found
        assert len(kept[fraction]) == round(float(fraction) * pairs)
    assert kept["0.05"] < kept["0.3"] < kept["0.5"]


def test_coverage_takes_texts_and_leaves_labels(
    split: Callable[[str, str], Artifact], before: Rows
) -> None:
    """The second phase of such a training learns from images and labels alone."""
    silent: dict[str, set[str]] = {}
    for coverage in ("0.25", "0.75"):
        after = _rows(split(f"coverage-{coverage}", f"coverage --coverage {coverage}"))
        changed = [
            (old, new) for old, new in zip(before, after, strict=True) if old != new
        ]  # fmt: skip
        assert all(new == {**old, "texts": [], "sections": []} for old, new in changed)
        assert all(old["split"] == "train" for old, _ in changed)
        silent[coverage] = {old["item_id"] for old, _ in changed}
        pairs = sum(row["split"] == "train" and _is_pair(row) for row in before)
        assert len(changed) == pairs - round(float(coverage) * pairs)
    assert silent["0.75"] < silent["0.25"]


def test_every_item_tests_in_one_fold_and_validates_in_another(
    split: Callable[[str, str], Artifact], before: Rows
) -> None:
    """The mean over folds would count some patients twice and others never."""
    seen = defaultdict(list)
    for fold in (1, 2, 3, 4):
        for row in _rows(split(f"fold-{fold}", f"fold --fold {fold} --folds 4")):
            seen[row["item_id"]].append(row["split"])
    assert len(seen) == len(before)
    rounds = {("test", "train", "train", "val")} | {
        tuple(["train"] * n + ["val", "test"] + ["train"] * (2 - n)) for n in range(3)
    }
    assert {tuple(found) for found in seen.values()} == rounds


def test_films_of_a_study_share_its_fate(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text of a second film would give the pair back that was taken apart."""
    monkeypatch.setenv("CROSSRAY_STORE", str(store))
    rows = [dict(row) for row in generate(PhantomConfig(items=40, seed=5), 0, 40)]
    for number, row in enumerate(rows):
        row |= {"split": "train", "group_id": f"g{number // 4}"}
        row["meta"] = {"study_id": f"s{number // 2}"}
    write_pairs(str(store / "studies"), rows)
    main(["split", "studies", "--out", "half", "coverage", "--coverage", "0.5"])
    after = _rows(open_artifact(str(store / "half")))
    silent = [not row["texts"] for row in after]
    assert silent[::2] == silent[1::2]
    assert sum(silent) == 20


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("groups --val 0.6 --test 0.4", "leave nothing to train on"),
        ("groups --val -0.1", "are no shares"),
        ("groups --val 0.0001", "fell into val with its share of 0.0001"),
        ("zero-shot --share 1.5", "a share of 1.5 of 14 labels"),
        ("zero-shot --held-out Edema Gout", "no test item carries the label 'Gout'"),
        ("zero-shot --share 0.99", "of which 12 may be"),
        ("few-shot --held-out Edema --shots 500", "500 examples of 'Edema'"),
        ("few-shot --held-out Edema --shots 0", "0 examples of 'Edema'"),
        ("annotation --fraction 0", "the share is 0"),
        ("annotation --fraction 30", "the share is 30"),
        ("annotation --fraction 0.0001", "give a larger share"),
        ("coverage --coverage 1.1", "the share is 1.1"),
        ("fold --fold 6 --folds 5", "fold 6 of 5 cannot be made"),
        ("fold --fold 0", "fold 0 of 5 cannot be made"),
        ("fold --fold 1 --folds 2", "fold 1 of 2 cannot be made"),
        ("fold --fold 1 --folds 5000", "5000 folds cannot be made"),
        ("fold --fold 1 --seed -1", "--seed -1 is negative"),
    ],
)
def test_what_cannot_be_made_is_refused(
    store: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    how: str,
    words: str,
) -> None:
    """One sentence, and nothing half-written."""
    monkeypatch.setenv("CROSSRAY_STORE", str(store))
    arguments = [word.replace("\t", " ") for word in how.split(" ")]
    with pytest.raises(SystemExit, match="2"):
        main(["split", "p", "--out", "wrong", *arguments])
    errors = capsys.readouterr().err
    assert words in errors
    assert errors.count("error: ") == 1
    assert not list(store.glob("*wrong*"))


def test_pairs_without_labels_have_none_to_hold_out(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Captions without tags are the usual data; the sentence must say what is missing."""
    monkeypatch.setenv("CROSSRAY_STORE", str(store))
    if not (store / "bare").exists():
        phantom_pairs(str(store / "bare"), 40, unlabelled=1.0)
    for how in ("zero-shot", "few-shot"):
        with pytest.raises(SystemExit):
            main(["split", "bare", "--out", "wrong", how])
        assert "no test item carries a label" in capsys.readouterr().err
    main(["split", "bare", "--out", "bare-fold", "fold", "--fold", "1"])
    assert open_artifact(str(store / "bare-fold")).manifest.metrics["splits"]["test"] == 8


def test_pairs_that_would_lose_a_split_or_share_a_patient_are_refused(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Hours later a training would say that there is nothing to train on, or say nothing."""
    monkeypatch.setenv("CROSSRAY_STORE", str(store))
    rows = [
        {"item_id": name, "group_id": group, "split": name, "image": None, "texts": ["x"],
         "sections": [], "labels": ["a"], "boxes": [], "meta": {}}
        for name, group in (("train", "g"), ("val", "h"), ("test", "h"))
    ]  # fmt: skip
    write_pairs(str(store / "few"), rows)
    for how, words in (
        ("zero-shot --held-out a", "every train item of"),
        ("coverage --coverage 1", "a share of 1.0 of the 0 training studies"),
    ):
        with pytest.raises(SystemExit):
            main(["split", "few", "--out", "wrong", *how.split()])
        assert words in capsys.readouterr().err
    rows[0]["image"] = b"x"
    write_pairs(str(store / "crossing"), rows)
    with pytest.raises(SystemExit):
        main(["split", "crossing", "--out", "wrong", "coverage", "--coverage", "1"])
    assert "group 'h' is in val, this row in test" in capsys.readouterr().err
    main(["split", "crossing", "--out", "mended", "groups", "--val", "0", "--test", "0.4"])
    assert not list(store.glob("*wrong*"))
