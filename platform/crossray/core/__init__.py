"""The floor everything stands on: shapes, configuration, lineage, collectives, errors."""
