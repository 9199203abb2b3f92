"""Reads a study's YAML file; a mistake in it is named by line, field and what was expected."""

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import BaseModel, ValidationError

from tune_metalr.errors import UserError, first_line, nearest
from tune_metalr.study import AnalysisChoice, Dimension, Study, WorkloadChoice

Field = tuple[str | int, ...]
"""Where a field stands: `("methods", "sgd", "lr", 0)`."""

_DEEPEST = 8

_FIELDS_UNDER: dict[str, type[BaseModel]] = {
    "": Study,
    "workloads": WorkloadChoice,
    "analysis": AnalysisChoice,
    "space": Dimension,
}


_PLAIN = {
    "dict_type": "expected fields, such as 'name: value'",
    "model_type": "expected fields, such as 'name: value'",
    "too_short": "expected at least one entry",
    "string_type": "expected text",
    "int_from_float": "expected a whole number",
    "bool_type": "expected true or false",
}
"""Our words for pydantic's kinds of mistakes, where its own speak of Python."""


class StudyFile(NamedTuple):
    """A study and the text that it was read from."""

    study: Study
    text: str


def load_study(path: Path) -> StudyFile:
    """Read and check a study.

    Raises:
        UserError: One line per mistake: file, line, field, what was expected.
    """
    text = _read(path)
    lines, data = _parse(path, text)
    try:
        study = Study.model_validate(data, context={"folder": path.absolute().parent})
        return StudyFile(study, text)
    except ValidationError as error:
        mistakes = (_describe(path, lines, mistake) for mistake in _told(error.errors()))
        raise UserError("\n".join(dict.fromkeys(mistakes))) from None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except IsADirectoryError:
        raise UserError(f"{path} is a folder; give a study's YAML file") from None
    except FileNotFoundError:
        raise UserError(f"no study file {path}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not a text file in UTF-8") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None


def _parse(path: Path, text: str) -> tuple[dict[Field, int], dict[str, Any]]:
    """Return the line of each field, counted from 1, and the file's content."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UserError(f"{path}:{line}: not valid YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError, IndexError, RecursionError) as error:
        raise UserError(f"{path}: not valid YAML: {first_line(error)}") from None
    if node is None:
        raise UserError(f"{path} is empty; a study needs name, workloads, epochs, seeds, methods")
    if not isinstance(data, dict):
        raise UserError(f"{path}:1: expected fields such as 'name: my-study'")
    lines = {}
    for field, line in _walk(node, (), frozenset()):
        if field in lines and isinstance(field[-1], str):
            raise UserError(f"{path}:{line}: {_dotted(field)} is given twice")
        lines[field] = line
    return lines, data


def _walk(node: yaml.Node, at: Field, above: frozenset[int]) -> Iterator[tuple[Field, int]]:
    if id(node) in above or len(at) > _DEEPEST:  # an alias of what contains it
        return
    above |= {id(node)}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            field = (*at, str(key.value))
            yield field, key.start_mark.line + 1
            yield from _walk(value, field, above)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield (*at, index), item.start_mark.line + 1
            yield from _walk(item, (*at, index), above)


def _told(mistakes: list[Any]) -> Iterator[Any]:
    """Leave out a field that is missing because it is misspelt: the misspelling is told."""
    misspelt = {
        (*mistake["loc"][:-1], close[0])
        for mistake in mistakes
        if mistake["type"] == "extra_forbidden"
        and (close := get_close_matches(str(mistake["loc"][-1]), _known_beside(mistake["loc"]), 1))
    }
    for mistake in mistakes:
        if mistake["type"] != "missing" or mistake["loc"] not in misspelt:
            yield mistake


def _known_beside(field: Field) -> list[str]:
    """Return the fields that may stand where a field does."""
    parent = next((p for p in reversed(field[:-1]) if str(p) in _FIELDS_UNDER), "")
    return list(_FIELDS_UNDER[str(parent)].model_fields)


def _describe(path: Path, lines: dict[Field, int], mistake: Any) -> str:
    """Return one line about a mistake that pydantic found."""
    field = tuple(part for part in mistake["loc"] if isinstance(part, str | int))
    if not field:  # one of the study as a whole, which may begin with the field that it is of
        message = _message(field, mistake)
        return f"{path}:{_line_of(message.partition(': ')[0], lines)}: {message}"
    known = field
    while known and known not in lines:
        known = known[:-1]  # a missing field, or pydantic's own name for a branch
    line = lines.get(known, 1)
    is_missing = mistake["type"] == "missing"
    where = f"{_dotted(field if is_missing else known)}: " if field else ""
    beside = [str(other[-1]) for other in lines if is_missing and other[:-1] == field[:-1]]
    close = get_close_matches(str(field[-1]), beside, 1)
    misspelt = f"; is it '{close[0]}'?" if close else ""
    return f"{path}:{line}: {where}{_message(field, mistake)}{misspelt}"


def _line_of(dotted: str, lines: dict[Field, int]) -> int:
    """Return the line of a field that is written with dots, or of the nearest above it."""
    by_name = {_dotted(field): line for field, line in lines.items()}
    while dotted and dotted not in by_name:
        dotted = dotted.rpartition(".")[0]
    return by_name.get(dotted, 1)


def _message(field: Field, mistake: Any) -> str:
    kind, message = mistake["type"], mistake["msg"]
    if kind == "extra_forbidden":
        return f"unknown key{nearest(str(field[-1]), _known_beside(field))}"
    if kind == "missing":
        return "required, but not given"
    if kind == "value_error":
        return str(mistake["ctx"]["error"])
    if kind == "string_pattern_mismatch":
        return f"'{mistake['input']}' may hold letters, digits, '.', '_' and '-' only"
    if kind in _PLAIN:
        return f"{_PLAIN[kind]}, not {_short(mistake['input'])}"
    message = message.replace("Input should be", "expected")
    return f"{message[0].lower()}{message[1:]}, got {_short(mistake['input'])}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _dotted(field: Field) -> str:
    return ".".join(str(part) for part in field)
