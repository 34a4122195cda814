"""The part of an ingest between an importer and the artifact: checks, labels, counts."""
