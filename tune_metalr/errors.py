"""The user's errors: one clear line that says what to do, never a traceback."""


class UserError(Exception):
    """Something that the user can put right; the message says how."""


def first_line(error: BaseException, silent: str | None = None) -> str:
    """Return the first line of what an error says; `silent`, or its kind, if it says nothing."""
    return (str(error).splitlines() or [silent or type(error).__name__])[0]
