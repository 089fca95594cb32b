"""Wrong implementations that the suite must kill, and correct controls that it must never touch; see README.md."""
