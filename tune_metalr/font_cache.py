"""Where matplotlib keeps its list of fonts: in the cache, for a run writes nowhere else."""

import os
from contextlib import suppress
from pathlib import Path

from tune_metalr.errors import UserError
from tune_metalr.workloads.places import cache_folder


def keep_font_list(fallback: Path) -> None:
    """Tell matplotlib, before it is imported, where to keep its list; a user's word stands.

    Args:
        fallback: Where the cache is if HOME cannot be written to.
    """
    if "MPLCONFIGDIR" in os.environ:
        return
    with suppress(UserError):  # then matplotlib makes its list each time, in a temporary folder
        os.environ["MPLCONFIGDIR"] = str(cache_folder(fallback) / "matplotlib")
