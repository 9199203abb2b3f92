"""Write every generated page: `python -m analysis.publishing`."""

import sys
from pathlib import Path

from analysis.publishing.pages import left_over, pages
from analysis.publishing.studied import studied
from tune_metalr.errors import UserError

_ROOT = Path(__file__).parents[2]


def publish(root: Path) -> None:
    """Write the pages of a repository, and remove those of before that are no more.

    Raises:
        UserError: A ledger is damaged, or one that is needed is not there.
    """
    made = dict(pages(root, studied(root)))
    for path, text in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for path in left_over(root, set(made)):
        path.unlink()


if __name__ == "__main__":
    try:
        publish(_ROOT)
    except UserError as error:
        sys.exit(f"analysis.publishing: {error}")
