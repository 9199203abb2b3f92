"""`python -m tune_metalr` is `tune-metalr`."""

try:
    from tune_metalr.cli import main
except ModuleNotFoundError as error:
    # A job's copy of the code comes without the packages that it needs.
    raise SystemExit(f"tune-metalr: the package '{error.name}' is not installed here") from None

main()
