"""What only the double can do: spend a small budget, fail on purpose, and say what it was asked."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
import requests

from infra.local.cloudflare import serve

if TYPE_CHECKING:
    from infra.local.cloudflare import CloudflareDouble

RequestsValue: TypeAlias = Any  # what requests takes

A_RECORD = {"name": "app", "type": "A", "content": "192.0.2.10"}


def call(
    double: CloudflareDouble, method: str = "GET", **arguments: RequestsValue
) -> requests.Response:
    """Send a request to the records of the double's zone."""
    zone_id = next(iter(double.zones))
    headers = {"authorization": f"Bearer {double.token}"}
    return requests.request(
        method,
        f"{double.url}/zones/{zone_id}/dns_records",
        headers=headers,
        timeout=10,
        **arguments,
    )


def test_a_spent_budget_blocks_for_a_window_and_says_for_how_long() -> None:
    with serve(requests_per_window=2, window_seconds=0.2) as double:
        assert [call(double).status_code for _ in range(3)] == [200, 200, 429]
        blocked = call(double)
        assert (blocked.status_code, blocked.headers["retry-after"]) == (429, "1")
        assert blocked.json()["errors"][0]["code"] == 971
        time.sleep(0.25)
        assert call(double).status_code == 200


def test_a_fault_hits_only_matching_requests_and_only_so_often(double: CloudflareDouble) -> None:
    double.fail_next(
        status=503, times=2, match="^POST ", headers={"retry-after": "7"}, body={"success": False}
    )
    assert call(double).status_code == 200
    failed = [call(double, "POST", json=A_RECORD) for _ in range(2)]
    assert [(answer.status_code, answer.headers["retry-after"]) for answer in failed] == [
        (503, "7")
    ] * 2
    assert call(double, "POST", json=A_RECORD).status_code == 200


def test_a_dropped_connection_looks_like_one_to_the_client(double: CloudflareDouble) -> None:
    double.fail_next(drop=True)
    with pytest.raises(requests.ConnectionError):
        call(double)


def test_a_fault_after_the_effect_leaves_the_record_behind(double: CloudflareDouble) -> None:
    double.fail_next(drop=True, after=True)
    with pytest.raises(requests.ConnectionError):
        call(double, "POST", json=A_RECORD)
    assert [record["name"] for record in double.records(next(iter(double.zones)))] == [
        "app.friends.example"
    ]


def test_requests_are_logged_with_method_path_and_query(double: CloudflareDouble) -> None:
    call(double, params={"name": "app.friends.example"})
    (request,) = double.requests
    assert (request.method, request.path.rpartition("/")[2]) == ("GET", "dns_records")
    assert dict(request.query) == {"name": "app.friends.example"}


def test_latency_is_added_to_every_answer(double: CloudflareDouble) -> None:
    double.latency_seconds = 0.1
    started = time.monotonic()
    call(double)
    assert time.monotonic() - started >= 0.1


def test_a_reset_forgets_records_requests_and_faults(double: CloudflareDouble) -> None:
    zone_id = next(iter(double.zones))
    double.seed(zone_id, **A_RECORD)
    double.fail_next()
    double.reset()
    assert (double.records(zone_id), double.requests) == ([], [])
    assert call(double).status_code == 200


def test_a_filter_that_the_double_does_not_know_is_refused(double: CloudflareDouble) -> None:
    assert call(double, params={"tag": "x"}).status_code == 400


def test_a_batch_of_more_than_200_changes_is_refused(double: CloudflareDouble) -> None:
    zone_id = next(iter(double.zones))
    posts = [
        {"name": f"app{number}", "type": "A", "content": "192.0.2.10"} for number in range(201)
    ]
    answer = requests.post(
        f"{double.url}/zones/{zone_id}/dns_records/batch",
        json={"posts": posts},
        headers={"authorization": f"Bearer {double.token}"},
        timeout=10,
    )
    assert answer.status_code == 400
    assert double.records(zone_id) == []


def test_a_stopped_double_hangs_up_on_kept_alive_clients() -> None:
    with requests.Session() as session:
        with serve() as double:
            session.get(double.url, timeout=10)
        with pytest.raises(requests.ConnectionError):
            session.get(double.url, timeout=10)


def test_the_process_says_where_it_listens_and_stops_on_sigterm() -> None:
    command = [
        sys.executable,
        "-m",
        "infra.local.cloudflare",
        "--token",
        "t",
        "--zone",
        f"{'a' * 32}=one.example",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - ours
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        answer = requests.get(
            f"{ready['url']}/zones", headers={"authorization": "Bearer t"}, timeout=10
        )
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=5) == 0
    assert [zone["name"] for zone in answer.json()["result"]] == ["one.example"]
