"""`constraints.txt` pins all that an installation brings, so that every machine has the same."""

import importlib.metadata
import itertools
import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import REPOSITORY

PINNED = {
    canonicalize_name(line.split("==")[0])
    for line in (REPOSITORY / "constraints.txt").read_text().split()
}
BY_FORM = {"torch"}
"""What it needs depends on the form of its wheel: for which GPU, or for none."""


def needed(requirement: Requirement, seen: set[tuple[str, str]]) -> None:
    """Add a package, and all that it needs here, to what was seen: names, each with an extra."""
    for extra in ("", *requirement.extras):
        item = (canonicalize_name(requirement.name), extra)
        if item in seen:
            continue
        seen.add(item)
        for each in () if item[0] in BY_FORM else requirements(requirement.name, extra):
            needed(each, seen)


def requirements(name: str, extra: str) -> list[Requirement]:
    try:
        told = importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:  # of an extra that is not installed here
        return []
    found = [Requirement(line) for line in told]
    return [each for each in found if not each.marker or each.marker.evaluate({"extra": extra})]


def test_everything_that_any_extra_brings_is_pinned():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    seen: set[tuple[str, str]] = set()
    for line in itertools.chain(project["dependencies"], *extras):
        needed(Requirement(line), seen)
    assert len(seen) > 100
    assert {name for name, _ in seen} - PINNED == set()
