"""The one exception for a user's mistake: one clear line, exit code 2, no traceback."""


class UsageError(Exception):
    """Bad input: the message says what was wrong, what was expected and what to do."""
