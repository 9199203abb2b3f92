"""The user's errors: one clear line that says what to do, never a traceback."""


class UserError(Exception):
    """Something that the user can put right; the message says how."""
