"""One more raylet, in a process of its own: for a node that sees other folders than its head does.

What Ray reads when it is imported is in the environment that it is given.
"""

import json
import sys

from tests.clusters import start_node


def main() -> None:
    start_node(head=False, **json.loads(sys.argv[1]))
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
