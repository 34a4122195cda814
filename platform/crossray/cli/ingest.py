"""The verbs that make pairs and features: each source, and each way to split, is a subcommand."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, PositionalRequiredArgs, arg, subcommand

from crossray.cli.running import say
from crossray.core.artifacts import open_artifact
from crossray.core.errors import CrossRayError, needing
from crossray.core.store import resolve
from crossray.data.feature_sets.feature_set import FeatureSource
from crossray.data.feature_sets.file import FeatureFileSource
from crossray.data.feature_sets.wikipedia import WikipediaFeatureSource
from crossray.data.feature_sets.xmedia import XmediaSource
from crossray.data.sources.chexpert import ChexpertSource
from crossray.data.sources.coco import CocoSource
from crossray.data.sources.csv import CsvSource
from crossray.data.sources.dicom import DicomSource
from crossray.data.sources.flickr8k import Flickr8kSource
from crossray.data.sources.flickr30k import Flickr30kSource
from crossray.data.sources.huggingface import HuggingFaceSource
from crossray.data.sources.iapr_tc12 import IaprTc12Source
from crossray.data.sources.imageclef_caption import ImageclefCaptionSource
from crossray.data.sources.mimic_cxr import MimicCxrSource
from crossray.data.sources.mirflickr import MirflickrSource
from crossray.data.sources.nus_wide import NusWideSource
from crossray.data.sources.openclipart import OpenClipartSource
from crossray.data.sources.openi import OpeniSource
from crossray.data.sources.pascal_sentence import PascalSentenceSource
from crossray.data.sources.phantom import PhantomSource
from crossray.data.sources.wikipedia import WikipediaSource
from crossray.data.split import SPLITS
from crossray.data.splits import splitters

AnySource = (
    Annotated[CsvSource, subcommand("csv"), PositionalRequiredArgs]
    | Annotated[PhantomSource, subcommand("phantom"), PositionalRequiredArgs]
    | Annotated[OpenClipartSource, subcommand("openclipart"), PositionalRequiredArgs]
    | Annotated[Flickr8kSource, subcommand("flickr8k"), PositionalRequiredArgs]
    | Annotated[Flickr30kSource, subcommand("flickr30k"), PositionalRequiredArgs]
    | Annotated[CocoSource, subcommand("coco"), PositionalRequiredArgs]
    | Annotated[OpeniSource, subcommand("openi"), PositionalRequiredArgs]
    | Annotated[MimicCxrSource, subcommand("mimic-cxr"), PositionalRequiredArgs]
    | Annotated[ChexpertSource, subcommand("chexpert"), PositionalRequiredArgs]
    | Annotated[MirflickrSource, subcommand("mirflickr"), PositionalRequiredArgs]
    | Annotated[NusWideSource, subcommand("nus-wide"), PositionalRequiredArgs]
    | Annotated[IaprTc12Source, subcommand("iapr-tc12"), PositionalRequiredArgs]
    | Annotated[PascalSentenceSource, subcommand("pascal-sentence"), PositionalRequiredArgs]
    | Annotated[ImageclefCaptionSource, subcommand("imageclef-caption"), PositionalRequiredArgs]
    | Annotated[WikipediaSource, subcommand("wikipedia"), PositionalRequiredArgs]
    | Annotated[DicomSource, subcommand("dicom"), PositionalRequiredArgs]
    | Annotated[HuggingFaceSource, subcommand("huggingface"), PositionalRequiredArgs]
    | Annotated[FeatureFileSource, subcommand("features")]
    | Annotated[WikipediaFeatureSource, subcommand("wikipedia-features")]
    | Annotated[XmediaSource, subcommand("xmedia")]
)
AnySplitter = (
    Annotated[splitters.GroupShares, subcommand("groups")]
    | Annotated[splitters.ZeroShot, subcommand("zero-shot")]
    | Annotated[splitters.FewShot, subcommand("few-shot")]
    | Annotated[splitters.AnnotatedFraction, subcommand("annotation")]
    | Annotated[splitters.ReportCoverage, subcommand("coverage")]
    | Annotated[splitters.Fold, subcommand("fold")]
)


@dataclass(frozen=True)
class Ingest:
    """Turn images and texts into a `pairs` artifact, or a feature set into a `features` artifact.

    Attributes:
        source: where the images and texts, or their vectors, come from.
        out: the artifact: a name in the store, an absolute path, ./path or a URI.
        max_rejected: the largest share of rejected rows that is still a success; a feature set is
            read completely or refused.
        split_seed: seed of the split, where the source gives none.
        label_reports: give rows without labels the CheXpert findings that their radiology report
            states; those that it only suspects count as absent (zeros) or as present (ones).
        grey_range: which values are black and white in images of more than 8 bits: auto is what
            the file says, else 12 bits where a 16-bit image has no value above 4,095; full is all
            that the file's values can hold; 0..4095 is these two values, for every such image. A
            DICOM file always says it.
    """

    source: Annotated[AnySource, arg(name="")]
    out: str
    max_rejected: float = 0.01
    split_seed: int = 0
    label_reports: Literal["zeros", "ones"] | None = None
    grey_range: str = "auto"

    def run(self) -> None:
        """Ingest and say what was published."""
        from crossray.stages.ingest import ingest

        out = resolve(self.out, Path.cwd())
        if isinstance(self.source, FeatureSource):
            return self._features(self.source, out)
        artifact = ingest(
            self.source, out, self.max_rejected, self.split_seed, self.label_reports,
            self.grey_range,
        )  # fmt: skip
        say(f"pairs {artifact.id[:12]} at {artifact.uri}")

    def _features(self, source: FeatureSource, out: str) -> None:
        with needing("train"):  # the other sources are ingested without torch
            from crossray.stages.ingest_features import ingest_features

        if self.label_reports is not None:
            raise CrossRayError(
                f"{source.name} holds vectors, no reports to read labels from; leave out "
                "--label-reports."
            )
        if self.grey_range != "auto":
            raise CrossRayError(f"{source.name} holds vectors, no images; leave out --grey-range.")
        artifact = ingest_features(source, out, self.split_seed)
        splits = artifact.manifest.metrics["splits"]
        counts = ", ".join(f"{splits[split]:,} {split}" for split in SPLITS if split in splits)
        say(f"features {artifact.id[:12]} at {artifact.uri}: {counts}")


@dataclass(frozen=True)
class SplitPairs:
    """Split a `pairs` artifact anew, into another.

    Attributes:
        splitter: how.
        pairs: a name in the store, an absolute path, ./path or a URI.
        out: the new pairs artifact.
    """

    splitter: Annotated[AnySplitter, arg(name="")]
    pairs: Annotated[Positional[str], arg(metavar="PAIRS")]
    out: str

    def run(self) -> None:
        """Split and say what was published."""
        from crossray.stages.split import resplit

        pairs = open_artifact(resolve(self.pairs, Path.cwd()), "pairs")
        artifact = resplit(pairs, self.splitter, resolve(self.out, Path.cwd()))
        say(f"pairs {artifact.id[:12]} at {artifact.uri}")
