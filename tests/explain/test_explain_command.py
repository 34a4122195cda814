"""`crossray explain` and `crossray explain-check`, from a film to the picture and the table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crossray import cli
from crossray.core.artifacts import Artifact, create, open_artifact
from crossray.encoders.image import given_images
from crossray.encoders.text import given_texts
from crossray.methods.cca import CcaConfig
from crossray.methods.image_ranking import ImageRankingConfig
from crossray.models.artifact import TOKENIZER, WEIGHTS, method_to_dict, save_weights
from crossray.models.fitting import fitted, make_tokenizer
from crossray.recipes import STUDENTS, get_recipe
from support.pairs import phantom_pairs, read_pairs, write_pairs
from support.teachers import untrained_teacher
from support.tiny import IMAGE, TEXT


@pytest.fixture(autouse=True)
def names_are_of_the_store(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain name is one in the store."""
    monkeypatch.setenv("CROSSRAY_STORE", str(store))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with pairs, models of three kinds, and a film as a file."""
    folder = tmp_path_factory.mktemp("store")
    pairs = phantom_pairs(str(folder / "pairs"), 40)
    untrained_teacher(pairs, str(folder / "teacher"))
    untrained_student(pairs, str(folder / "student"))
    rows = read_pairs(pairs).to_pylist()
    write_pairs(str(folder / "bare"), [{**row, "boxes": []} for row in rows])
    (folder / "film.jpg").write_bytes(rows[0]["image"])
    (folder / "report.txt").write_text(" ".join(rows[0]["texts"]), encoding="utf-8")
    method = CcaConfig(image=given_images(4), text=given_texts(3), embedding=2)
    with create(str(folder / "vectors-only"), "teacher", {"method": method_to_dict(method)}) as d:
        save_weights(dict(method.build().state_dict()), d.path / WEIGHTS)
    images = ImageRankingConfig(image=IMAGE, text=TEXT, labels=("a", "b"))
    config = {"method": method_to_dict(images), "tokenizer": {"max_tokens": 16}}
    with create(str(folder / "images-only"), "teacher", config) as d:
        save_weights(dict(images.build().state_dict()), d.path / WEIGHTS)
        (d.path / TOKENIZER).write_bytes((folder / "teacher" / TOKENIZER).read_bytes())
    return folder


def untrained_student(pairs: Artifact, out: str) -> None:
    """`student_tiny` as it starts."""
    recipe = get_recipe("student_tiny", STUDENTS)
    tokenizer = make_tokenizer(recipe.tokenizer, pairs)
    method = fitted(recipe, tokenizer).method
    config = {"method": method_to_dict(method), "tokenizer": {"max_tokens": 160}}
    with create(out, "student", config, (pairs,)) as draft:
        save_weights(dict(method.build().state_dict()), draft.path / WEIGHTS)
        tokenizer.save(draft.path / TOKENIZER)


@pytest.mark.parametrize(("model", "level"), [("teacher", []), ("student", ["--level", "2"])])
def test_a_film_is_explained(store: Path, tmp_path: Path, model: str, level: list[str]) -> None:
    """One command from a film and its report to a picture and the values behind it."""
    report = (store / "report.txt").read_text(encoding="utf-8")
    files = ["--out", str(tmp_path / "out.png"), "--arrays", str(tmp_path / "out.npz")]
    asked = ["--image", str(store / "film.jpg"), "--text", report, "--of", "cosine", *level]
    cli.main(["explain", str(store / model), *asked, *files])
    with Image.open(tmp_path / "out.png") as image:
        assert image.format == "PNG"
    with np.load(tmp_path / "out.npz", allow_pickle=False) as arrays:
        found = dict(arrays)
    assert found["dimensions_D"].sum() == pytest.approx(float(found["score"]), abs=1e-5)
    assert found["picture_YXC"].shape == (224, 224, 3)
    assert len(found["words_W"]) == len(found["shares_W"])
    assert " ".join(found["words_W"]).split()[:2] == report.split()[:2]
    if model == "teacher":
        assert found["heat_YX"].shape == (4, 4)
        read = ~np.isnan(found["shares_W"])
        assert found["parts_P"].tolist() == found["words_W"][read].tolist()
        np.testing.assert_allclose(found["maps_PYX"].sum(axis=(1, 2)), 1, rtol=1e-4)
    else:
        assert found["heat_YX"].shape == (8, 8)
        assert len(found["bits_K"]) == 64
        assert np.abs(found["bits_K"]).sum() == pytest.approx(1)


@pytest.mark.parametrize("background", [[], ["--background", "pairs"]])
def test_a_film_is_explained_by_occlusion(
    store: Path, tmp_path: Path, background: list[str]
) -> None:
    """A value a pixel of what the model sees, in the picture and in the file."""
    files = ["--out", str(tmp_path / "out.png"), "--arrays", str(tmp_path / "out.npz")]
    asked = ["--image", str(store / "film.jpg"), "--text", "No pleural effusion."]
    cli.main(["explain", str(store / "teacher"), *asked, "--cam", "occlusion", *background, *files])
    with Image.open(tmp_path / "out.png") as image:
        assert image.format == "PNG"
    with np.load(tmp_path / "out.npz", allow_pickle=False) as arrays:
        assert arrays["heat_YX"].shape == (64, 64)
        assert arrays["heat_YX"].min() >= 0


def test_heat_maps_are_checked(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table names every finding that has boxes."""
    given = ["explain-check", str(store / "teacher"), "--pairs", str(store / "pairs")]
    cli.main([*given, "--items", "2", "--in-report"])
    printed = capsys.readouterr().out
    rows = read_pairs(open_artifact(str(store / "pairs")), ["boxes"], "test").to_pylist()
    labels = {box["label"] for row in rows for box in row["boxes"]}
    assert labels
    assert all(label in printed for label in labels)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["teacher", "--text", "  "], "there is no text"),
        (["teacher", "--text", "An effusion.", "--phrase", "a mass"], "is not in the text"),
        (["teacher", "--text", "An effusion.", "--phrase", "An effusion"], "nothing of the text"),
        (["teacher", "--text", "An effusion.", "--level", "9"], "no level 9"),
        (["teacher", "--text", "An effusion.", "--background", "pairs"], "--cam occlusion"),
        (["teacher", "--text", "An effusion.", "--image", "report.txt"], "cannot be decoded"),
        (["teacher", "--text", "An effusion.", "--image", "nothing.png"], "cannot be read"),
        (["vectors-only", "--text", "An effusion."], "no towers"),
        (["images-only", "--text", "An effusion."], "reads images only"),
        (["pairs", "--text", "An effusion."], "teacher"),
    ],
)
def test_what_cannot_be_explained_is_refused_in_a_sentence(
    store: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], word: str
) -> None:
    """A stack trace tells a reader of films nothing."""
    model, *rest = arguments
    image = str(store / (rest.pop(rest.index("--image") + 1) if "--image" in rest else "film.jpg"))
    rest = [argument for argument in rest if argument != "--image"]
    out = ["--image", image, "--out", str(store / "no.png")]
    with pytest.raises(SystemExit) as stopped:
        cli.main(["explain", str(store / model), *rest, *out])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert word in error
    assert not (store / "no.png").exists()


def test_pairs_without_boxes_are_refused(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing to judge by is no result."""
    with pytest.raises(SystemExit):
        cli.main(["explain-check", str(store / "teacher"), "--pairs", str(store / "bare")])
    assert "give pairs with boxes" in capsys.readouterr().err
