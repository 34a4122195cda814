"""Rows of the pair schema: a study rendered, reported and put through the variants."""

from typing import Any

from crossray.data.phantom.acquisition import develop, encode, encode_mask
from crossray.data.phantom.config import PhantomConfig
from crossray.data.phantom.labels import study_labels
from crossray.data.phantom.render import render, structure_masks
from crossray.data.phantom.report import write_captions, write_phantom_report
from crossray.data.phantom.sample import sample_study, source_row, stream
from crossray.data.phantom.study import PhantomStudy

VERSION = "2"
DISCLAIMER = (
    "Synthetic chest radiographs and reports drawn by a program from random numbers: "
    "no patient is shown and they are of no clinical value."
)


def item_id(row: int) -> str:
    """The identifier of a row."""
    return f"phantom-{row:07d}"


def make_row(config: PhantomConfig, row: int) -> dict[str, Any]:
    """Row ``row`` of the pair schema."""
    study = sample_study(config, row)
    has_image, has_texts, has_labels = _kept(config, row, study.split)
    report = write_captions(study, 5) if config.captions == 5 else write_phantom_report(study)
    image, boxes = _picture(study) if has_image else (None, [])
    return {
        "item_id": item_id(row),
        "group_id": f"patient-{study.patient:07d}",
        "split": study.split,
        "image": image,
        "texts": list(report.sentences) if has_texts else [],
        "sections": [
            {"name": name, "start": start, "stop": stop}
            for name, start, stop in (report.sections if has_texts else ())
        ],
        "labels": study_labels(study.findings, study.uncertain) if has_labels else [],
        "boxes": boxes if has_labels else [],
        "masks": _masks(study) if config.masks and has_image else [],
        "meta": _meta(config, row, study),
    }


def _kept(config: PhantomConfig, row: int, split: str) -> tuple[bool, bool, bool]:
    """Whether a row keeps its image, its texts and its labels."""
    pair, report, label = stream(config.seed, "variant", row).random(3)
    has_texts = pair >= config.unpaired
    has_image = pair < config.unpaired or pair >= 2 * config.unpaired
    if split == "train":
        has_texts &= report < config.report_coverage
    return bool(has_image), bool(has_texts), bool(label >= config.unlabelled)


def _picture(study: PhantomStudy) -> tuple[bytes, list[dict[str, Any]]]:
    rendering = render(study)
    corners = ("x0", "y0", "x1", "y1")
    boxes = [
        {"label": name, **dict(zip(corners, box, strict=True))} for name, box in rendering.boxes
    ]
    return encode(develop(rendering.grey, study.acquisition)), boxes


def _masks(study: PhantomStudy) -> list[dict[str, Any]]:
    return [
        {"name": name, "png": encode_mask(mask_YX)}
        for name, mask_YX in structure_masks(study).items()
    ]


def _meta(config: PhantomConfig, row: int, study: PhantomStudy) -> dict[str, str]:
    film = study.acquisition
    meta = {
        "source": "phantom",
        "version": VERSION,
        "synthetic": "true",
        "disclaimer": DISCLAIMER,
        "modality": "X-ray",
        "view": film.view,
        "study": str(study.number),
        "exposure": f"{film.exposure:.3f}",
        "contrast": f"{film.contrast:.3f}",
        "noise": f"{film.noise:.4f}",
        "rotation": f"{film.rotation:.2f}",
        "scale": f"{film.scale:.3f}",
        "side_marker": film.side_marker,
    }
    if study.uncertain:
        meta["uncertain"] = ";".join(sorted({finding.name for finding in study.uncertain}))
    source = source_row(config, row)
    if source != row:
        meta["duplicate_of"] = item_id(source)
    return meta
