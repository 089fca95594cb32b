"""The report of a record, or of two, as one HTML page that needs nothing else."""
