"""MetaLR without its guard, to be compared with it."""

from tune_metalr.batch_loss import Closure
from tune_metalr.metalr.metalr import MetaLR


class UnguardedMetaLR(MetaLR):
    """MetaLR that puts no weights back but those of a step that it has looked at."""

    def _is_put_back(self, loss: float, closure: Closure) -> bool:
        return False
