"""One file an arrow of the lineage, from raw data to a report."""
