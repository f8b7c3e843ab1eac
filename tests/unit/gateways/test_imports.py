"""The large libraries are imported late; where two threads need two of them, both get theirs."""

import subprocess
import sys

from infra.paths import ROOT

# The second thread begins where the first is about to import requests, and each import takes long.
RACE = """
import json, sys, threading, time
from importlib.abc import MetaPathFinder
from chalicelib.domain.deadline import Deadline
from chalicelib.gateways.cloudflare import CloudflareDns
from chalicelib.gateways.cluster import KubernetesClusters
from tests.factories import create_kubeconfig

class Slow(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "requests_oauthlib":
            begun.set()
        if name.partition(".")[0] in {"requests", "requests_oauthlib"}:
            time.sleep(0.01)

begun, failed = threading.Event(), []
sys.meta_path.insert(0, Slow())
kubeconfig = json.dumps(create_kubeconfig())
clusters = KubernetesClusters(lambda name: kubeconfig, allow_loopback=True)
dns = CloudflareDns(lambda: "a-token-of-this-test", None, url="http://127.0.0.1:9")

def use_both():
    try:
        clusters.client("main")
    except Exception as error:
        failed.append(error)

thread = threading.Thread(target=use_both)
thread.start()
begun.wait()
try:
    dns.find("0" * 32, "a.example", Deadline.after(0.5))
except Exception as error:
    failed.append(error)
thread.join()
print([repr(each) for each in failed if isinstance(each, ImportError)])
"""


def test_two_threads_that_wake_two_clients_at_once_get_both() -> None:
    command = [sys.executable, "-c", RACE]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 (ours)
    assert done.stdout.strip() == "[]", done.stdout
