"""Pair schema, importers and loading."""
