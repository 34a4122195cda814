"""What can be ingested, and how pairs can be split anew: one subcommand each."""

from __future__ import annotations

from typing import Annotated

from tyro.conf import PositionalRequiredArgs, subcommand

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
from crossray.data.splits.splitters import (
    AnnotatedFraction,
    FewShot,
    Fold,
    GroupShares,
    ReportCoverage,
    ZeroShot,
)

Source = (
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
Maker = (
    Annotated[GroupShares, subcommand("groups")]
    | Annotated[ZeroShot, subcommand("zero-shot")]
    | Annotated[FewShot, subcommand("few-shot")]
    | Annotated[AnnotatedFraction, subcommand("annotation")]
    | Annotated[ReportCoverage, subcommand("coverage")]
    | Annotated[Fold, subcommand("fold")]
)
