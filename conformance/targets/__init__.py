"""Who is asked: target strings, the processes that answer, and other releases in ``environments``."""
