"""Makes sure that `analysis` is this project's own package: its name is a common one."""

from pathlib import Path

from tune_metalr.errors import UserError


def check_analysis() -> None:
    """Make sure that `analysis` is this project's own package.

    Raises:
        UserError: Another package of that name comes first.
    """
    import analysis
    import tune_metalr

    found = Path(analysis.__file__ or "").parent
    if found != Path(tune_metalr.__file__).parents[1] / "analysis":
        raise UserError(
            f"another package called 'analysis' ({found}) hides ours; run from another folder or "
            f"remove it from PYTHONPATH"
        )
