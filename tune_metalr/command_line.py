"""Command lines of ours, as a user types them: told, recorded, and typed again to go on."""


def command_line(*words: str, **options: object) -> list[str]:
    """Return a command line of ours; options without a value are left out."""
    command = ["tune-metalr", *words]
    for name, value in options.items():
        if value is not None:
            command += [f"--{name.replace('_', '-')}", str(value)]
    return command
