"""The one exception for a user's mistake: one clear line, exit code 2, no traceback."""


class UsageError(Exception):
    """Bad input: the message says what was wrong, what was expected and what to do.

    What it quotes of a file may hold anything: characters that a terminal would not show, or obey, are escaped.
    """

    def __str__(self) -> str:
        text = super().__str__()
        return text if text.isprintable() else "".join(_shown(c) for c in text)


def _shown(c: str) -> str:
    return c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode("ascii")
