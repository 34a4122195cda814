"""From a teacher to a student, its vectors, its index and its codes' quality."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import compute as pc
from safetensors.torch import load_file

from crossray.core.artifacts import Artifact
from crossray.core.errors import CrossRayError
from crossray.data.phantom import PhantomConfig
from crossray.data.schema import text_entries
from crossray.data.sources.phantom import PhantomSource
from crossray.index import load_shards
from crossray.models.artifact import WEIGHTS
from crossray.models.encoder import ModelEncoder
from crossray.recipes import STUDENTS, get_recipe
from crossray.stages.distill import Distill, StudentRecipe
from crossray.stages.embed import Embed
from crossray.stages.evaluate import Evaluate
from crossray.stages.index import BuildIndex
from crossray.stages.ingest import ingest
from support.pairs import read_pairs
from support.taken import taken_cores
from support.teachers import untrained_teacher


def small_recipe() -> StudentRecipe:
    """`student_tiny` for seconds of training by two workers, taught by texts' layers too."""
    recipe = get_recipe("student_tiny", STUDENTS)
    train = replace(recipe.train, epochs=2, batch_size=16, validation_items=20, workers=2)
    distillation = replace(recipe.distillation, hubness=0.25, layer_map=((1, 0),))
    method, augment = replace(recipe.method, bits=16), replace(recipe.augment, sentences=1.0)
    return replace(recipe, train=train, method=method, augment=augment, distillation=distillation)


@pytest.mark.e2e
@pytest.mark.usefixtures("ray_cluster")
def test_teacher_to_codes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second half of the road: whoever has a teacher gets vectors to search in."""
    monkeypatch.setenv("CROSSRAY_STORE", str(tmp_path))
    pairs = ingest(PhantomSource(PhantomConfig(items=96, seed=3)), str(tmp_path / "pairs"))
    teacher = untrained_teacher(pairs, str(tmp_path / "teacher"))
    deep = replace(small_recipe().distillation, layer_map=((1, 3),))
    with pytest.raises(CrossRayError, match="layer 3 of the teacher"):
        Distill("teacher", "pairs", "wrong", replace(small_recipe(), distillation=deep)).run()
    student = Distill("teacher", "pairs", "student", small_recipe()).run()
    assert [parent.id for parent in student.manifest.parents] == [teacher.id, pairs.id]
    names = load_file(tmp_path / "student" / WEIGHTS).keys()
    assert not [name for name in names if name.startswith(("teacher", "student", "hidden_maps"))]
    assert not list(tmp_path.glob("runs/*/teaching")), "the teacher's outputs are gone"
    assert_vectors(student, pairs, tmp_path, monkeypatch)
    index = BuildIndex("vectors", "index", shards=2).run()
    assert {parent.id for parent in index.manifest.parents} >= {student.id, pairs.id}
    assert index.manifest.metrics["recall@10"]["text_to_image"]["float"] == 1
    report = Evaluate("student", "pairs", "codes", codes=16, rescore=1000).run()
    floats = Evaluate("student", "pairs", "floats").run()
    assert report.manifest.metrics["image_to_text"] == floats.manifest.metrics["image_to_text"]
    with pytest.raises(CrossRayError, match="codes of 16 bits, not 64"):
        Evaluate("student", "pairs", "wrong", codes=64).run()
    with pytest.raises(CrossRayError, match="has no codes"):
        Evaluate("teacher", "pairs", "wrong", codes=16).run()
    assert_teacher_goes_the_same_road(teacher, pairs)


def assert_teacher_goes_the_same_road(teacher: Artifact, pairs: Artifact) -> None:
    """Its vectors have no codes, and what its whole score needs lies in the shards of its index."""
    vectors = Embed("teacher", "pairs", "seen", split="test", keep="representations").run()
    assert [parent.id for parent in vectors.manifest.parents] == [teacher.id, pairs.id]
    assert (vectors.manifest.config["bits"], vectors.manifest.config["keep"]) == (
        0, "representations",
    )  # fmt: skip
    index = BuildIndex("seen", "seen-index", shards=2).run()
    assert {parent.id for parent in index.manifest.parents} == {vectors.id, teacher.id, pairs.id}
    rows = read_pairs(pairs, ["item_id", "split", "image"]).to_pylist()
    images = [row["image"] for row in rows if row["split"] == "test"]
    assert vectors.manifest.metrics["rows"]["image"] == len(images) > 0
    encoded = ModelEncoder(teacher).images(images, represent=True)
    assert encoded.parts is not None
    kept = {
        row: parts
        for shard in load_shards(index)
        for row, parts in shard.represented("image", range(len(images))).items()
    }
    for row, expected in enumerate(encoded.parts):
        for name, array in expected.items():
            np.testing.assert_allclose(kept[row][name], array, atol=4e-3, rtol=4e-3)


def assert_vectors(
    student: Artifact, pairs: Artifact, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every image and text once, in order; what was done before an interruption is kept."""
    with taken_cores(2.0) as told:
        vectors = Embed("student", "pairs", "vectors").run()
    assert len(told) == 1, "it said once that it waits"
    rows = read_pairs(pairs, ["item_id", "split", "image", "texts", "sections"]).to_pylist()
    table = pa.concat_tables(
        [pq.read_table(path) for path in sorted((store / "vectors").glob("part-*.parquet"))]
    )
    images = table.filter(pc.equal(table["modality"], "image"))
    texts = table.filter(pc.equal(table["modality"], "text"))
    assert images["item_id"].to_pylist() == [row["item_id"] for row in rows]
    assert vectors.manifest.metrics["rows"] == {"image": len(images), "text": len(texts)}
    encoder = ModelEncoder(student)
    for part, encoded in (
        (images, encoder.images([row["image"] for row in rows])),
        (texts, encoder.texts([t for r in rows for t in text_entries(r["texts"], r["sections"])])),
    ):
        found = np.stack(part["vector"].combine_chunks().to_numpy(zero_copy_only=False))
        np.testing.assert_allclose(found.astype(np.float32), encoded.z_BD, atol=2e-3)
        codes = np.frombuffer(b"".join(part["code"].to_pylist()), np.uint8)
        differing = np.bitwise_count(codes.reshape(encoded.codes_BY.shape) ^ encoded.codes_BY)
        assert differing.sum() <= 0.002 * codes.size * 8, "only bits on the edge may differ"

    def refuse(folder: object) -> dict[str, int]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("crossray.stages.embed._count", refuse)
        with pytest.raises(KeyboardInterrupt):
            Embed("student", "pairs", "again").run()
    (part, *_) = sorted(store.glob("runs/embed-*/part-*.parquet"))
    kept = pq.read_table(part)
    marked = pc.replace_with_mask(kept["item_id"], [n == 0 for n in range(len(kept))], "kept")
    pq.write_table(kept.set_column(0, "item_id", marked).cast(kept.schema), part)
    again = Embed("student", "pairs", "again").run()
    assert again.manifest.config == vectors.manifest.config
    first = pq.read_table(store / "again" / part.name)["item_id"][0].as_py()
    assert first == "kept", "the finished part was not computed again"
