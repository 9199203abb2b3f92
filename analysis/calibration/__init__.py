"""What the intervals and tests hold, by simulation. `table.md` is made by `__main__.py`.

Each simulation draws studies whose truth is known, and counts how often the statement that would
have been printed is true.
"""
