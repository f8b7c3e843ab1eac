"""A reconcile run measures how long the clusters' tokens last yet."""

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import boto3
import pytest
import yaml

from infra.local.cluster import ClusterDouble
from infra.paths import RESOURCES
from tests.harness import Api, Clock

Come = Callable[[timedelta | None], None]


@pytest.fixture
def come(backend: None, kube: ClusterDouble, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Come:
    """Have the API come with a service account's token, which ends then."""

    def store(ends_in: timedelta | None) -> None:
        claims = {"sub": "system:serviceaccount:friends-system:friend-api"}
        ends = {"exp": int((clock.now() + ends_in).timestamp())} if ends_in is not None else {}
        middle = base64.urlsafe_b64encode(json.dumps(claims | ends).encode()).decode()
        monkeypatch.setattr(kube, "token", f"e30.{middle.rstrip('=')}.c2ln")
        secrets = boto3.client("secretsmanager")
        secrets.put_secret_value(SecretId="friends/kubeconfig/main", SecretString=kube.kubeconfig())

    return store


def days_measured(caplog: pytest.LogCaptureFixture) -> list[Any]:
    lines = [vars(each) for each in caplog.records if each.name == "chalicelib.metrics"]
    return [line for line in lines if "CredentialDaysLeft" in line]


@pytest.mark.case("W7")
@pytest.mark.parametrize(
    ("ends_in", "days"),
    [
        (timedelta(days=1, minutes=1), 1),
        (timedelta(hours=23), 0),
        (timedelta(days=-1, minutes=1), -1),
        (timedelta(days=90, minutes=1), 90),
    ],
)
def test_the_days_that_a_token_lasts_are_a_metric(
    come: Come, clock: Clock, caplog: pytest.LogCaptureFixture, ends_in: timedelta, days: int
) -> None:
    come(ends_in)
    with caplog.at_level("INFO", logger="chalicelib.metrics"):
        Api(now=clock.now).reconcile()
    (line,) = days_measured(caplog)
    assert (line["CredentialDaysLeft"], line["Cluster"]) == (days, "main")
    (described,) = line["_aws"]["CloudWatchMetrics"]
    # The first is the alarm's, which knows no cluster's name.
    assert described["Dimensions"] == [["Function"], ["Function", "Cluster"]]


@pytest.mark.case("W7")
def test_a_token_that_lasts_is_not_measured(
    come: Come, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    come(None)
    with caplog.at_level("INFO", logger="chalicelib.metrics"):
        assert Api(now=clock.now).reconcile()["ok"]
    assert days_measured(caplog) == []


@pytest.mark.case("W7")
def test_a_kubeconfig_that_is_refused_is_a_finding_and_no_metric(
    backend: None, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    secrets = boto3.client("secretsmanager")
    secrets.put_secret_value(SecretId="friends/kubeconfig/main", SecretString="x")
    with caplog.at_level("INFO", logger="chalicelib.metrics"):
        report = Api(now=clock.now).reconcile()
    assert [each["code"] for each in report["failed"]] == ["cluster_misconfigured"]
    assert days_measured(caplog) == []


@pytest.mark.case("W7")
def test_an_alarm_goes_off_days_before_a_token_ends() -> None:
    template = yaml.safe_load(RESOURCES.read_text())
    alarm = template["Resources"]["CredentialAlarm"]["Properties"]
    assert (alarm["MetricName"], alarm["Statistic"]) == ("CredentialDaysLeft", "Minimum")
    assert (alarm["ComparisonOperator"], alarm["TreatMissingData"]) == (
        "LessThanThreshold",
        "notBreaching",
    )
    assert template["Parameters"][alarm["Threshold"]["Ref"]]["Default"] == 7
    assert alarm["Dimensions"] == [{"Name": "Function", "Value": {"Ref": "Reconcile"}}]
