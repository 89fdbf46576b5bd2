"""Text from outside -> text that may be shown. Knows nothing about who sends it or who reads it.

Everything that a peer, a file name, a picture, a pair or a data set brings goes through `safe` before a terminal or a
log. What commands print goes through `common/console.py`, and log lines through `common/log.py`, which do it for all of
a line; call it where a part must be kept short, or where rich would read markup.
"""


def safe(text: object, limit: int | None = 120) -> str:
    """`text` on one line, of at most `limit` characters, with everything that is not printable escaped.

    Letters of any script stay as they are; escape sequences, line ends, marks that turn the direction of writing and
    bytes of a file name that are no text become such as \\x1b, \\n, \\u202e, \\udcff.
    """
    whole = str(text)
    shown = whole[:limit]
    if not shown.isprintable():
        shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in shown)
    return shown if limit is None or len(whole) <= limit else f"{shown}..."


def safe_markup(text: object, limit: int | None = 120) -> str:
    """The same for what rich takes for markup, such as a title or a cell of a table."""
    from rich.markup import escape

    return escape(safe(text, limit))
