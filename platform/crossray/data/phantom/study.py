"""The parameters of one radiograph; everything drawn and everything reported comes from them.

Lengths are in units of half the image at scale 1 (about 21 cm): x grows to the right of the
image (the patient's left), y grows downwards, (0, 0) is the middle of the chest.
"""

from dataclasses import dataclass

CM_PER_UNIT = 21.0


@dataclass(frozen=True)
class ChestFinding:
    """One finding on one side.

    Attributes:
        name: one of the CheXpert findings except No Finding.
        side: left, right, or empty where the finding has no side.
        zone: upper, middle, lower or empty.
        severity: mild, moderate, severe, small, large or empty.
        kind: which support device.
        form: how it presents: apical or lateral thickening, jugular or subclavian line.
        size: position within the range of its severity, in [0, 1].
        u, v: position within the range of its zone, in [-1, 1].
        seed: of its texture, so that it looks the same whatever else is in the picture.
    """

    name: str
    side: str = ""
    zone: str = ""
    severity: str = ""
    kind: str = ""
    form: str = ""
    size: float = 0.5
    u: float = 0.0
    v: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Anatomy:
    """A patient's body, shared by the studies of the patient."""

    seed: int
    half_width: float  # of the lungs at their widest
    apex: float  # y of the lung apices
    dome: tuple[float, float]  # y of the right and left diaphragm at normal inspiration
    heart_ratio: float  # cardiothoracic ratio when healthy, 0.40 to 0.48
    heart_tilt: float  # radians
    rib_spacing: float
    rib_slope: float
    clavicle_tilt: float
    mediastinum: float  # half-width of the upper mediastinum
    habitus: str  # thin, average, large
    breasts: float  # 0 for none, else their density
    scoliosis: float  # sideways reach of the spine, positive to the patient's left; 0 for none
    aorta: str  # normal, tortuous, calcified
    elevated: str  # the side of an elevated hemidiaphragm, or empty
    clips: str  # right upper abdomen, left axilla, right axilla, or empty
    sternotomy: bool
    degenerative: bool


@dataclass(frozen=True)
class Acquisition:
    """How the picture was taken; independent of the patient and of the findings."""

    seed: int
    view: str  # PA or AP
    exposure: float  # shift of the film curve, in attenuation
    contrast: float  # slope of the film curve
    noise: float  # relative standard deviation at no attenuation
    rotation: float  # degrees
    scale: float  # field of view; above 1 shows more
    shift_x: float
    shift_y: float
    side_marker: str  # L or R
    marker_height: float  # in [0, 1], from the top


@dataclass(frozen=True)
class PhantomStudy:
    """Everything about one radiograph."""

    patient: int
    number: int  # 0, 1, 2: the study of the patient
    split: str
    anatomy: Anatomy
    volumes: str  # low, normal, high: the depth of inspiration
    stomach_bubble: bool
    findings: tuple[ChestFinding, ...]
    uncertain: tuple[ChestFinding, ...]  # drawn, but hedged in the report and without a label
    acquisition: Acquisition
    report_seed: int

    @property
    def drawn(self) -> tuple[ChestFinding, ...]:
        """All findings that the picture shows."""
        return self.findings + self.uncertain


def lesion_radius(finding: ChestFinding) -> float:
    """Radius of a nodule (small) or mass (large), in units."""
    low, high = (0.045, 0.068) if finding.severity == "small" else (0.085, 0.13)
    return low + (high - low) * finding.size


def fractured_ribs(finding: ChestFinding) -> tuple[int, ...]:
    """Numbers of the three or four neighbouring ribs of a fracture, counted from 1."""
    first = 3 + int(finding.size * 3.999)
    return tuple(range(first, first + 3 + finding.seed % 2))


def tube_tip_above_carina(finding: ChestFinding) -> float:
    """Distance of the tip of an endotracheal tube from the carina, in units."""
    return 0.10 + 0.22 * finding.size
