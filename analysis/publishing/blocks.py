"""Generated parts of a page, between comments that say so."""

import re

from tune_metalr.errors import UserError

_BLOCK = r"(?s)(<!-- begin {name}(?:: [^>]*)? -->\n).*?(<!-- end {name} -->)"


def with_block(text: str, name: str, content: str) -> str:
    """Return a text whose generated part of that name holds something else.

    Raises:
        UserError: The text has no such part, or several.
    """
    pattern = re.compile(_BLOCK.format(name=re.escape(name)))
    found = len(pattern.findall(text))
    if found != 1:
        raise UserError(f"a page has {found} parts 'begin {name}' to 'end {name}', not one")
    return pattern.sub(lambda match: f"{match[1]}{content}\n{match[2]}", text)
