"""One case in full: explained, simplified, written as a program or as a bug report."""
