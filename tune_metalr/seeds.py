"""Every random stream of the project, derived by hashing names.

A stream is named by what it may depend on. Initial weights and batch order are named by workload
and seed alone, so that two methods with the same seed start from the same weights and see the
same batches: their difference is paired.
"""

import hashlib

Name = str | int


def derive_seed(*names: Name) -> int:
    """Return a seed in [0, 2**63) that depends on every name and on their order."""
    text = "\x1f".join(f"{type(name).__name__}:{name}" for name in names)
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
