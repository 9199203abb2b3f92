"""Code of the README, as it is printed."""

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def section(heading):
    """Return the text below a heading, down to the next heading of its rank."""
    text = README.read_text(encoding="utf-8")
    rank = heading.split(" ")[0]
    return text.split(f"\n{heading}\n")[1].split(f"\n{rank} ")[0]


def code_blocks(heading, language="python"):
    """Return the code below a heading."""
    return re.findall(rf"```{language}\n(.*?)```", section(heading), flags=re.DOTALL)


def run(code, **names):
    """Run code in which `names` are known; return all names that are known then."""
    exec(compile(code, str(README), "exec"), names)
    return names
