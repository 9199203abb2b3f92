"""Where matplotlib keeps its list of fonts: in the cache, for a run writes nowhere else."""

import os
from contextlib import suppress

from tune_metalr.errors import UserError
from tune_metalr.store import Location
from tune_metalr.workloads.places import cache_beside, cache_folder


def keep_font_list(results: Location) -> None:
    """Tell matplotlib, before it is imported, where to keep its list; a user's word stands.

    Args:
        results: The folder that holds the results of studies: if HOME cannot be written to, the
            cache is there.
    """
    if "MPLCONFIGDIR" in os.environ:
        return
    with suppress(UserError):  # then matplotlib makes its list each time, in a temporary folder
        os.environ["MPLCONFIGDIR"] = str(cache_folder(cache_beside(results)) / "matplotlib")
