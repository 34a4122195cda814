"""Reports: numbers for programs, a page and a text for people."""

# With a direction, the names of Parquet files in the folder of a report.
PER_QUERY = "per_query"
REFERENCE_PER_QUERY = f"reference_{PER_QUERY}"
