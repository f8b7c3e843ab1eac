"""The search for canaries finds each kind of leak, in every form, and says no more than its name.

What is found here is taken, so that the search after the test finds nothing any more.
"""

import json
import logging
import os
import re
import subprocess
import sys
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
import pytest
import requests

from chalicelib import logs
from chalicelib.domain.errors import Fault, InvalidInput, NotFound
from infra.local.cloudflare import CloudflareDouble
from infra.local.cluster import ClusterDouble
from tests import canaries
from tests.canaries import CANARIES, IN_CLUSTERS, Canaries
from tests.cluster_client import ClusterClient
from tests.factories import ADMIN_TOKEN, AGENT_TOKEN
from tests.faults.__main__ import _report
from tests.faults.campaign import Tally
from tests.harness import BUCKET, ROOT, TABLE, Api

CANARY = IN_CLUSTERS["a Secret's data"]
NAME = "a Secret's data"
LOG = logging.getLogger("chalicelib.tests")


@pytest.fixture(autouse=True)
def _nothing_before() -> Iterator[None]:
    assert CANARIES.take_found() == []
    yield
    CANARIES.take_found()


def found() -> str:
    """Return what was found, which holds no canary itself."""
    told = "\n".join(CANARIES.take_found())
    assert CANARY not in told
    return told


def test_the_environment_holds_canaries(monkeypatch: pytest.MonkeyPatch) -> None:
    session = boto3.Session().get_credentials()
    assert session is not None
    assert session.secret_key == canaries.ENVIRONMENT["AWS_SECRET_ACCESS_KEY"]


@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
@pytest.mark.parametrize("after", ["", "z", "zy", "zyx"])
@pytest.mark.parametrize(
    "encode",
    [
        bytes,
        b64encode,
        urlsafe_b64encode,
        lambda text: quote(text, safe="").encode(),
        lambda text: json.dumps(text.decode()).encode(),
    ],
)
def test_every_form_is_found(encode: Callable[[bytes], bytes], before: str, after: str) -> None:
    for value in (CANARY, "with+a/slash=and~?tildes", "ten-letters"):
        search = Canaries()
        search.plant("it", value)
        search.search("here", b"before " + encode(f"{before}{value}{after}".encode()) + b" after")
        search.search("there", "nothing")
        assert search.take_found() == ["it in here"]
        assert search.take_found() == []


def test_an_answer_an_item_and_a_file(api: Api) -> None:
    api.register_friend(display_name=CANARY)
    told = found()
    assert f"{NAME} in POST /api/friends: 201" in told
    assert f"{NAME} in the body of dynamodb " in told
    assert f"{NAME} in the body of s3 PutObject" in told


def test_a_header_of_an_answer() -> None:
    canaries.search_answer("GET /", 200, {"X-Leak": CANARY}, "")
    assert found() == f"{NAME} in GET /: 200"


def test_the_manifests_that_an_item_holds_compressed(api: Api) -> None:
    api.register_friend()
    manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "pages"},
        "data": {"leak": CANARY},
    }
    url, headers = "/api/friends/alice/namespace/apply", {"Prefer": "respond-async"}
    assert api.post(url, manifest, headers=headers).status == 202
    assert f"{NAME} in what dynamodb TransactWriteItems has compressed" in found()


def test_a_payload(aws: None) -> None:
    boto3.client("lambda").invoke(
        FunctionName="f", InvocationType="Event", Payload=json.dumps({"leak": CANARY})
    )
    assert found() == f"{NAME} in the body of lambda Invoke"


@pytest.mark.parametrize(
    "write",
    [
        lambda: LOG.debug(CANARY),
        lambda: LOG.info("%s", {"leak": CANARY}),
        lambda: LOG.info("a leak", extra={"leak": CANARY}),
        lambda: LOG.info("a leak", exc_info=ValueError(CANARY)),
        lambda: logging.getLogger("botocore").warning(CANARY),
    ],
    ids=["message", "argument", "extra", "exception", "library"],
)
def test_a_log_line(write: Callable[[], None]) -> None:
    write()
    assert f"{NAME} in " in found()


@pytest.mark.parametrize(
    "error",
    [
        lambda: NotFound(f"There is no {CANARY}."),
        lambda: InvalidInput("No.", faults=(Fault("/leak", CANARY),)),
        lambda: InvalidInput("No.", faults=(Fault("/", "No.", ({"value": CANARY},)),)),
    ],
    ids=["message", "fault", "fix"],
)
def test_an_exception(error: Callable[[], Exception]) -> None:
    error()
    assert f"{NAME} in " in found()


def test_a_report(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.harness.functions.reconcile", lambda *_: {"leak": CANARY})
    api.reconcile()
    assert f"{NAME} in what reconcile returns" in found()


def test_the_wrong_credential_in_a_request_to_the_cluster(kube: ClusterDouble) -> None:
    client = ClusterClient(kube.kubeconfig())
    client.call("GET", "/version")
    assert found() == ""
    client.call("GET", "/version", headers={"Authorization": f"Bearer {ADMIN_TOKEN}"})
    assert found() == "the admin's token in the cluster's authorization"
    client.call("GET", "/version", headers={"X-Token": kube.token})
    assert found() == "a cluster's token in the cluster's x-token"
    client.call("GET", f"/version?leak={CANARY}")
    assert found() == f"{NAME} in a request to the cluster"
    client.call("POST", "/version", CANARY, headers={"X-Sender": "the product"})
    assert found() == f"{NAME} in the body of a request to the cluster"


def test_the_clusters_token_in_a_request_to_cloudflare(
    api: Api, kube: ClusterDouble, cloudflare: CloudflareDouble
) -> None:
    api.register_friend()
    url, own = f"{cloudflare.url}/user/tokens/verify", f"Bearer {cloudflare.token}"
    requests.get(url, headers={"Authorization": own}, timeout=5).close()
    assert found() == ""
    requests.get(url, headers={"Authorization": f"Bearer {kube.token}"}, timeout=5).close()
    assert found() == "a cluster's token in Cloudflare's authorization"


@pytest.mark.parametrize("service", ["dynamodb", "s3"])
def test_what_is_written_to_aws(api: Api, service: str) -> None:
    client: Any = boto3.client(service)  # type: ignore[call-overload]
    if service == "s3":
        client.put_object(Bucket=BUCKET, Key="leak", Body=CANARY.encode())
        client.put_object(Bucket=BUCKET, Key="leak", Body=b"", Metadata={"leak": CANARY})
    else:
        item = {"pk": {"S": "a"}, "sk": {"S": "b"}, "leak": {"B": CANARY.encode()}}
        client.put_item(TableName=TABLE, Item=item)
    assert f"{NAME} in " in found()


def test_at_debug_the_product_keeps_the_libraries_quiet(api: Api) -> None:
    """The libraries' own records at DEBUG do hold tokens: the search sees those."""
    root, handlers = logging.getLogger(), logging.getLogger().handlers[:]
    level = root.level
    try:
        logs.configure_logging("DEBUG")
        fresh = Api()
        assert fresh.get("/api/friends", token=AGENT_TOKEN).status == 200
        assert fresh.register_friend().status == 201
        assert found() == ""
        root.setLevel(logging.DEBUG)
        Api().get("/api/friends")
        assert "in a record of botocore." in found()
    finally:
        root.setLevel(level)
        root.handlers[:] = handlers


def test_a_finding_fails_the_test_in_which_it_is_and_tells_no_value(tmp_path: Path) -> None:
    leaky, sound = (f"def test_{name}() -> None:\n    " for name in ("leaky", "sound"))
    log = f"logging.getLogger('chalicelib').debug({CANARY[:8]!r} + {CANARY[8:]!r})\n\n"
    (tmp_path / "test_it.py").write_text(f"import logging\n\n{leaky}{log}{sound}pass\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "--show-capture=no"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(  # noqa: S603 - ours
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "ERROR test_it.py::test_leaky" in ended.stdout
    assert "test_it.py::test_sound" not in ended.stdout
    assert re.search(r"(?m)^canaries: \d+ planted, \d+ texts searched, 1 found$", ended.stdout)
    assert f"{NAME} in a record of chalicelib (test_it.py:4)" in ended.stdout
    assert CANARY not in ended.stdout


@pytest.mark.parametrize("leaks", [[], ["register: a token in an answer"]])
def test_make_faults_says_what_it_has_found(
    capsys: pytest.CaptureFixture[str], leaks: list[str]
) -> None:
    status = _report([Tally(singles=1, searched=7, canaries=leaks)], 0.0)
    assert status == (1 if leaks else 0)
    assert f"canaries: 7 texts searched, {len(leaks)} found" in capsys.readouterr().out


def test_no_text_searched_is_no_success() -> None:
    assert _report([Tally(singles=1)], 0.0) == 1
