"""Importers of published feature sets, which hold vectors in place of images and texts."""
