"""Draws the parameters of a study: cheap, without rendering.

Random access: keyed random streams, and the arithmetic from rows to patients.
"""

from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from hashlib import blake2b
from itertools import accumulate

import numpy as np

from crossray.data.phantom.config import PhantomConfig
from crossray.data.phantom.labels import DEVICES, LUNG_OPACITY, OPACITIES, SUPPORT_DEVICES
from crossray.data.phantom.study import Acquisition, Anatomy, ChestFinding, PhantomStudy

# A block of patients has a fixed number of studies, so that a row finds its patient by division.
_STUDY_COUNTS = np.repeat([1, 2, 3], [15, 10, 5])
PATIENTS_PER_BLOCK = len(_STUDY_COUNTS)
ITEMS_PER_BLOCK = int(_STUDY_COUNTS.sum())


def stream(seed: int, purpose: str, *key: int) -> np.random.Generator:
    """A generator that depends on nothing but its arguments."""
    word = int.from_bytes(purpose.encode()[:8], "little")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, word, *key])))


@lru_cache(maxsize=64)
def _block(seed: int, block: int) -> tuple[tuple[int, int], ...]:
    counts = stream(seed, "block", block).permutation(_STUDY_COUNTS)
    return tuple((patient, study) for patient, n in enumerate(counts) for study in range(n))


def patient_of(seed: int, row: int) -> tuple[int, int]:
    """The patient of a row and the number of the study among that patient's."""
    block, offset = divmod(row, ITEMS_PER_BLOCK)
    patient, study = _block(seed, block)[offset]
    return block * PATIENTS_PER_BLOCK + patient, study


def split_of(seed: int, patient: int) -> str:
    """train, val or test in the proportion 70 : 10 : 20, by a hash of seed and patient."""
    digest = blake2b(f"{seed}/{patient}".encode(), digest_size=8).digest()
    position = int.from_bytes(digest, "big") / 2**64
    return "train" if position < 0.7 else "val" if position < 0.8 else "test"


SIDES = ("right", "left")
ZONES = ("upper", "middle", "lower")
CLIP_PLACES = ("right upper abdomen", "left axilla", "right axilla")
_HEALTHY = 0.12
# Chance of each finding in a study that is not healthy from the outset.
_RATES = {
    "Pneumothorax": 0.11,
    "Pleural Effusion": 0.24,
    "Consolidation": 0.12,
    "Pneumonia": 0.12,
    "Pleural Other": 0.08,
    "Atelectasis": 0.15,
    "Lung Lesion": 0.13,
    LUNG_OPACITY: 0.06,
    "Edema": 0.10,
    "Cardiomegaly": 0.22,
    "Enlarged Cardiomediastinum": 0.09,
    "Fracture": 0.08,
}
_BILATERAL = {
    "Pleural Effusion": 0.25,
    "Pneumonia": 0.25,
    "Pleural Other": 0.15,
    "Atelectasis": 0.25,
    "Lung Lesion": 0.15,
}
_DEVICE_RATES = dict(zip(DEVICES, (0.07, 0.08, 0.10, 0.07, 0.08, 0.05), strict=True))
_SEVERITIES = {
    "Pneumothorax": (("small", "large"), (0.5, 0.5)),
    "Pleural Effusion": (("small", "moderate", "large"), (0.4, 0.35, 0.25)),
    "Lung Lesion": (("small", "large"), (0.6, 0.4)),
    "Edema": (("mild", "severe"), (0.5, 0.5)),
    "Cardiomegaly": (("mild", "moderate", "severe"), (0.4, 0.35, 0.25)),
}
_FORMS = {"Pleural Other": ("apical", "lateral"), "central line": ("jugular", "subclavian")}
_FREE_ZONES = {
    "Atelectasis": ("middle", "lower"),
    "Consolidation": ZONES,
    "Pneumonia": ZONES,
    "Lung Lesion": ZONES,
    LUNG_OPACITY: ZONES,
}


def sample_study(config: PhantomConfig, row: int) -> PhantomStudy:
    """The parameters of row ``row``: patient, findings and acquisition."""
    source = source_row(config, row)
    patient, number = patient_of(config.seed, source)
    split = split_of(config.seed, patient)
    rng = stream(config.seed, "study", source)
    held_out = set() if split == "test" else set(config.held_out)
    if LUNG_OPACITY in held_out:
        held_out |= set(OPACITIES)
    drawn = [finding for finding in _findings(rng) if finding.name not in held_out]
    hedged = stream(config.seed, "hedge", source).random(len(drawn)) < config.uncertain_labels
    unsure = {finding.name for finding, hedge in zip(drawn, hedged, strict=True) if hedge}
    unsure.discard(SUPPORT_DEVICES)
    return PhantomStudy(
        patient=patient,
        number=number,
        split=split,
        anatomy=_anatomy(config.seed, patient),
        volumes=_choose(rng, ("low", "normal", "high"), (0.2, 0.65, 0.15)),
        stomach_bubble=bool(rng.random() < 0.4),
        findings=tuple(finding for finding in drawn if finding.name not in unsure),
        uncertain=tuple(finding for finding in drawn if finding.name in unsure),
        acquisition=_acquisition(config.seed, row),
        report_seed=int(rng.integers(2**31)),
    )


def source_row(config: PhantomConfig, row: int) -> int:
    """The row whose study this row shows: itself unless it is a near-duplicate."""
    while row > 0 and stream(config.seed, "again", row).random() < config.near_duplicates:
        row -= 1
    return row


def _choose(
    rng: np.random.Generator, choices: Sequence[str], chances: Sequence[float] | None = None
) -> str:
    """One of the choices, with the given chances or with equal ones."""
    if chances is None:
        return choices[int(rng.random() * len(choices))]
    position = bisect(list(accumulate(chances)), rng.random())
    return choices[min(position, len(choices) - 1)]


def _anatomy(seed: int, patient: int) -> Anatomy:
    rng = stream(seed, "anatomy", patient)
    uniform = rng.uniform
    dome = uniform(0.36, 0.44)
    curved = rng.random() < 0.15
    return Anatomy(
        seed=int(rng.integers(2**31)),
        half_width=uniform(0.62, 0.74),
        apex=uniform(-0.80, -0.70),
        dome=(dome, dome + uniform(0.01, 0.06)),
        heart_ratio=uniform(0.40, 0.475),
        heart_tilt=uniform(0.40, 0.85),
        rib_spacing=uniform(0.118, 0.135),
        rib_slope=uniform(0.8, 1.3),
        clavicle_tilt=uniform(-0.06, 0.14),
        mediastinum=uniform(0.10, 0.13),
        habitus=_choose(rng, ("thin", "average", "large"), (0.2, 0.55, 0.25)),
        breasts=uniform(0.25, 0.5) if rng.random() < 0.45 else 0.0,
        scoliosis=uniform(0.06, 0.11) * (-1 if rng.random() < 0.5 else 1) if curved else 0.0,
        aorta=_choose(rng, ("normal", "tortuous", "calcified"), (0.68, 0.2, 0.12)),
        elevated=_choose(rng, ("", "right", "left"), (0.84, 0.1, 0.06)),
        clips=_choose(rng, ("", *CLIP_PLACES), (0.82, 0.08, 0.05, 0.05)),
        sternotomy=bool(rng.random() < 0.12),
        degenerative=bool(rng.random() < 0.2),
    )


def _acquisition(seed: int, row: int) -> Acquisition:
    rng = stream(seed, "film", row)
    uniform = rng.uniform
    return Acquisition(
        seed=int(rng.integers(2**31)),
        view=_choose(rng, ("PA", "AP")),
        exposure=uniform(-0.3, 0.3),
        contrast=uniform(1.2, 1.55),
        noise=uniform(0.004, 0.014),
        rotation=uniform(-4.0, 4.0),
        scale=uniform(0.95, 1.08),
        shift_x=uniform(-0.05, 0.05),
        shift_y=uniform(-0.04, 0.05),
        side_marker=_choose(rng, ("L", "R")),
        marker_height=uniform(0.0, 1.0),
    )


def _findings(rng: np.random.Generator) -> Iterator[ChestFinding]:
    """The findings of a study, such that none hides another: each claims its part of the lungs."""
    healthy = rng.random() < _HEALTHY
    free = {(side, zone) for side in SIDES for zone in ZONES}
    for name, rate in _RATES.items():
        if rng.random() < rate and not healthy:
            yield from _instances(rng, name, free)
    for kind, rate in _DEVICE_RATES.items():
        if rng.random() < rate:
            side = _device_side(rng, kind)
            yield _finding(rng, ChestFinding(SUPPORT_DEVICES, side, kind=kind))


def _device_side(rng: np.random.Generator, kind: str) -> str:
    right = {"central line": 0.6, "pacemaker": 0.2, "chest tube": 0.5}.get(kind)
    return "" if right is None else SIDES[int(rng.random() >= right)]


def _instances(
    rng: np.random.Generator, name: str, free: set[tuple[str, str]]
) -> Iterator[ChestFinding]:
    """One finding, or one a side where it is bilateral; claims cells from ``free``."""
    if name in ("Edema", "Cardiomegaly", "Enlarged Cardiomediastinum"):
        yield _finding(rng, ChestFinding(name))
        return
    sides = [str(side) for side in rng.permutation(SIDES)]
    if rng.random() >= _BILATERAL.get(name, 0.0):
        sides = sides[:1]
    for side in sides:
        for zone in rng.permutation(_FREE_ZONES.get(name, ("",))):
            finding = _finding(rng, ChestFinding(name, side, str(zone)))
            cells = {(side, claimed) for claimed in _claims(finding)}
            if cells <= free:
                free -= cells
                yield finding
                break


def _claims(finding: ChestFinding) -> tuple[str, ...]:
    """Zones of its side that a finding keeps for itself."""
    match finding.name, finding.severity or finding.form:
        case "Fracture", _:
            return ()
        case "Pneumothorax", "large":
            return ZONES
        case ("Pneumothorax", _) | ("Pleural Other", "apical"):
            return ("upper",)
        case "Pleural Effusion", "large":
            return ("middle", "lower")
        case ("Pleural Effusion", _) | ("Pleural Other", _):
            return ("lower",)
    return (finding.zone,)


def _finding(rng: np.random.Generator, finding: ChestFinding) -> ChestFinding:
    """``finding`` with its severity, form and position drawn."""
    severity = form = ""
    if finding.name in _SEVERITIES:
        choices, chances = _SEVERITIES[finding.name]
        severity = _choose(rng, choices, chances)
    forms = _FORMS.get(finding.kind or finding.name)
    if forms:
        form = _choose(rng, forms)
    size, u, v = rng.random(), *rng.uniform(-1.0, 1.0, 2)
    seed = int(rng.integers(2**31))
    return replace(
        finding, severity=severity, form=form, size=size, u=float(u), v=float(v), seed=seed
    )
