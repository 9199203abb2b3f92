"""The arrows of the design: what may import what. Lazy imports count."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Everything may import these; they import nothing of the project but each other.
GROUND = {
    "trial", "seeds", "errors", "storage", "store", "object_store", "object_errors", "conditions",
    "import_path",
}  # fmt: skip

ARROWS = {
    "__init__": {"as_optimizer", "batch_loss", "metalr", "workloads"},
    "__main__": {"cli"},
    "workloads": set(),
    "batch_loss": set(),
    "controller": {"batch_loss"},
    "as_optimizer": {"batch_loss", "controller"},
    "metalr": {"batch_loss", "controller"},
    "methods": {"batch_loss", "controller", "metalr"},
    "training": {"batch_loss", "methods", "workloads"},
    "provenance": set(),
    "attempts": {"provenance"},
    "checkpoints": set(),
    "lineage": {"methods"},
    "inheritance": {"checkpoints", "lineage", "training", "workloads"},
    "rows": set(),
    "ledger": {"rows", "trial_files"},
    "trial_files": {"rows"},
    "holder": set(),
    "lease": {"holder"},
    "lock": {"holder", "lease"},
    "compaction": {"ledger"},
    "forked_worker": set(),
    "fork_server": {"forked_worker"},
    "signals": set(),
    "work_order": {"provenance", "workloads"},
    "worker": {
        "attempts", "checkpoints", "inheritance", "ledger", "provenance", "training", "work_order",
        "workloads",
    },
    "space": set(),
    "study": {"evidence", "methods", "proposals", "pruning", "space", "workloads"},
    "study_file": {"study"},
    "expansion": {"methods", "search", "space", "study", "workloads"},
    "proposals": {"ledger", "space"},
    "pruning": set(),
    "search": {"evidence", "lineage", "proposals", "space"},
    "outcome": {"proposals"},
    "running_search": {"lineage", "outcome", "proposals", "pruning", "search", "space"},
    "search_records": {"checkpoints", "ledger", "outcome"},
    "dealer": {"search"},
    "idleness": set(),
    "given_up": set(),
    "ray_pool": {
        "dealer", "fork_server", "forked_worker", "losses", "proposals", "space", "worker",
        "work_order",
    },
    "losses": set(),
    "submitted": set(),
    "command_line": set(),
    "progress_view": {"dealer"},
    "progress_feed": {"dealer", "progress_view"},
    "progress": {"dealer", "losses", "progress_feed", "progress_view", "submitted"},
    "jobs": {
        "command_line", "fork_server", "progress", "progress_feed", "provenance", "ray_pool", "study",
        "study_file", "submitted",
    },
    "cli_jobs": {
        "cli_tables", "command_line", "jobs", "progress_feed", "ray_pool", "signals",
    },
    "driver": {
        "attempts", "checkpoints", "compaction", "dealer", "fork_server", "given_up", "idleness",
        "ledger", "losses", "progress", "provenance", "ray_pool", "signals", "work_order",
    },
    "runner": {
        "checkpoints", "dealer", "driver", "expansion", "fork_server", "ledger", "lock",
        "proposals", "provenance", "ray_pool", "running_search", "search", "search_records",
        "signals", "status", "study", "study_file", "work_order", "workloads",
    },
    "search_results": {"ledger", "proposals", "space"},
    "status": {"ledger", "search_results"},
    "evidence": set(),
    "timing": {"training", "workloads"},
    "plan": {"evidence", "search", "space", "study", "timing", "workloads"},
    "replay": {"ledger", "outcome", "proposals", "pruning", "space"},
    "replay_tables": {"cli_tables", "replay"},
    "cli_tables": {"methods", "plan", "proposals", "status", "workloads"},
    "font_cache": {"workloads"},
    "own_analysis": {"analysis"},
    "analysis_tables": {
        "analysis", "cli_tables", "evidence", "ledger", "methods", "search_results",
    },
    "search_tables": {"cli_tables", "proposals", "space"},
    "cli_meta": {"metalr", "provenance", "signals"},
    "cli_names": {"cli_tables", "study"},
    "cli_searches": {
        "cli_tables", "ledger", "proposals", "replay", "replay_tables", "search_tables", "signals",
    },
    "cli": {
        "analysis", "analysis_tables", "cli_jobs", "cli_meta", "cli_names", "cli_searches", "cli_tables",
        "command_line", "driver", "font_cache", "fork_server", "ledger", "own_analysis", "plan",
        "runner", "signals", "status", "study", "study_file", "submitted", "workloads",
    },
    "analysis": {"evidence", "ledger"},
}  # fmt: skip

ONLY_IN = {
    "ray": {"ray_pool"},
    "optuna": {"proposals"},
    "typer": {"cli", "cli_jobs", "cli_meta", "cli_names", "cli_searches"},
}
WITHOUT_TORCH = {*ARROWS} - {
    "as_optimizer",
    "batch_loss",
    "controller",
    "metalr",
    "inheritance",
    "training",
    "worker",
    "timing",
    "workloads",
    "methods",
    "proposals",
}


def modules():
    for path in sorted((ROOT / "tune_metalr").rglob("*.py")):
        yield path.relative_to(ROOT / "tune_metalr").parts[0].removesuffix(".py"), path
    for path in sorted((ROOT / "analysis").rglob("*.py")):
        yield "analysis", path


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ours(name):
    """Return the house's part that an imported name belongs to."""
    parts = name.split(".")
    if parts[0] == "analysis":
        return "analysis"
    return parts[1] if parts[0] == "tune_metalr" and len(parts) > 1 else None


def _name(value):
    return getattr(value, "name", value)


@pytest.mark.parametrize(("part", "path"), list(modules()), ids=_name)
def test_imports_follow_the_arrows(part, path):
    allowed = (GROUND if part in GROUND else ARROWS[part] | GROUND) | {part}
    known = set(ARROWS) | GROUND
    used = {ours(name) for name in imports(path)} & known
    assert used <= allowed, f"{path.name} may not import {used - allowed}"


@pytest.mark.parametrize(("part", "path"), list(modules()), ids=_name)
def test_heavy_packages_have_one_home(part, path):
    tops = {name.split(".")[0] for name in imports(path)}
    for package, homes in ONLY_IN.items():
        assert package not in tops or part in homes
    if part in WITHOUT_TORCH or part in GROUND:
        assert "torch" not in tops


def test_no_arrow_is_left_over():
    parts = {part for part, _ in modules()}
    assert parts == set(ARROWS) | GROUND


def test_files_hold_one_concept():
    for _, path in modules():
        assert len(path.read_text().splitlines()) <= 350, path
