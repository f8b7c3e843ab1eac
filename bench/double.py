"""The cluster's double in a process of its own, so that its work is not counted as ours.

Prints its kubeconfig as a JSON string and serves until its standard input ends.
"""

import json
import sys

from infra.local.cluster import serve

if __name__ == "__main__":
    with serve(latency_seconds=float(sys.argv[1])) as double:
        print(json.dumps(double.kubeconfig()), flush=True)
        sys.stdin.read()
