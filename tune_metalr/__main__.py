"""`python -m tune_metalr` is `tune-metalr`."""

from tune_metalr.cli import main

main()
