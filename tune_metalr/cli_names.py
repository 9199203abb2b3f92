"""The commands that tell what a study file may name."""

from enum import StrEnum

import typer

app = typer.Typer()


class Listing(StrEnum):
    """What `list` can print."""

    WORKLOADS = "workloads"
    METHODS = "methods"
    SAMPLERS = "samplers"


@app.command(name="list")
def list_(what: Listing) -> None:
    """List what a study can name."""
    from tune_metalr.cli_tables import (
        plain_console,
        print_methods,
        print_samplers,
        print_workloads,
    )

    printers = {
        Listing.WORKLOADS: print_workloads,
        Listing.METHODS: print_methods,
        Listing.SAMPLERS: print_samplers,
    }
    printers[what](plain_console())


@app.command()
def schema() -> None:
    """Print the JSON Schema of study files, for editors."""
    import json

    from tune_metalr.study import Study

    typer.echo(json.dumps(Study.model_json_schema(), indent=2))
