"""Code of the README, as it is printed."""

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def code_blocks(heading):
    """Return the Python code below a heading, down to the next heading of its rank."""
    text = README.read_text(encoding="utf-8")
    rank = heading.split(" ")[0]
    section = text.split(f"\n{heading}\n")[1].split(f"\n{rank} ")[0]
    return re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)


def run(code, **names):
    """Run code in which `names` are known; return all names that are known then."""
    exec(compile(code, str(README), "exec"), names)
    return names
