"""The truth of a problem: its exact result (``oracle``), the error that is allowed (``bounds``), and special values."""
