"""Text that others have written, for terminals and logs: what would steer them is shown escaped.

A network's name may hold escape sequences, line breaks or marks that turn the direction of text;
whoever reads a table must not be shown another one than there is.
"""

from typing import Final

CONTINUED: Final = "\n  "
"""How messages of ours go on in another line: none that begins so passes for one of its own."""


def printable(text: str) -> str:
    r"""Return a text in one line, with all that is not for reading as `\x1b`, `\u202e`, `\n`."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else _escaped(one) for one in text)


def printable_lines(text: str) -> str:
    """Return a message likewise; lines that go on indented stay lines."""
    return CONTINUED.join(map(printable, text.split(CONTINUED)))


def _escaped(one: str) -> str:
    return one.encode("unicode_escape").decode("ascii")
