"""The bounds of Deployments, Jobs and CronJobs themselves."""

from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.admission.workloads import check_cron_job, check_deployment, check_job
from tests.manifests import (
    create_cron_job_manifest,
    create_deployment_manifest,
    create_job_manifest,
)
from tests.unit.domain.admission import rules

SHORT_DEADLINE = {"minReadySeconds": 30, "progressDeadlineSeconds": 30}


def assert_deployment_mended(spec: dict[str, Any], pointer: str) -> None:
    manifest = create_deployment_manifest(**spec)
    rules.assert_refused_and_mended(check_deployment, manifest, f"/spec/{pointer}")


def assert_job_mended(spec: dict[str, Any], pointer: str) -> None:
    manifest = create_job_manifest(**spec)
    rules.assert_refused_and_mended(check_job, manifest, f"/spec/{pointer}")
    manifest = create_cron_job_manifest(job=spec)
    pointer = f"/spec/jobTemplate/spec/{pointer}"
    rules.assert_refused_and_mended(check_cron_job, manifest, pointer)


def assert_cron_job_mended(spec: dict[str, Any], pointer: str) -> None:
    manifest = create_cron_job_manifest(**spec)
    rules.assert_refused_and_mended(check_cron_job, manifest, f"/spec/{pointer}")


refuse_cron_job = partial(rules.assert_refused, check_cron_job)


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"replicas": None, "paused": True},
        {"replicas": 0, "revisionHistoryLimit": 0, "minReadySeconds": 0},
        {"replicas": 100, "minReadySeconds": 300, "progressDeadlineSeconds": 301},
        {"strategy": {}},
        {"strategy": {"type": "Recreate"}},
        {"strategy": {"rollingUpdate": {}}},
        {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "100%"}}},
        {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0}}},
        {"pod": {"restartPolicy": "Always"}},
    ],
)
def test_a_usual_deployment_is_admitted(spec: dict[str, Any]) -> None:
    assert rules.faults_of(check_deployment, create_deployment_manifest(**spec)) == ()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("replicas", 10**6),
        ("replicas", -1),
        ("revisionHistoryLimit", 10**9),
        ("revisionHistoryLimit", -1),
        ("minReadySeconds", 301),
        ("minReadySeconds", -1),
        ("progressDeadlineSeconds", 0),
        ("progressDeadlineSeconds", 3601),
    ],
)
def test_c07_a_deployment_is_in_bounds(field: str, value: int) -> None:
    assert_deployment_mended({field: value}, field)


def test_a_deployment_has_the_time_to_become_ready() -> None:
    assert_deployment_mended(SHORT_DEADLINE, "progressDeadlineSeconds")


@pytest.mark.parametrize(
    ("strategy", "pointer"),
    [
        ({"type": "OnDelete"}, "type"),
        ({"type": "Recreate", "rollingUpdate": {}}, "rollingUpdate"),
        ({"type": "Recreate", "rollingUpdate": {"maxSurge": -1}}, "rollingUpdate"),
        ({"rollingUpdate": {"maxSurge": -1}}, "rollingUpdate/maxSurge"),
        ({"rollingUpdate": {"maxSurge": 101}}, "rollingUpdate/maxSurge"),
        ({"rollingUpdate": {"maxSurge": "101%"}}, "rollingUpdate/maxSurge"),
        ({"rollingUpdate": {"maxSurge": "1"}}, "rollingUpdate/maxSurge"),
        ({"rollingUpdate": {"maxUnavailable": "-1%"}}, "rollingUpdate/maxUnavailable"),
        ({"rollingUpdate": {"maxUnavailable": "٣%"}}, "rollingUpdate/maxUnavailable"),
        (
            {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}},
            "rollingUpdate/maxUnavailable",
        ),
    ],
)
def test_a_rollout_can_go_on(strategy: dict[str, Any], pointer: str) -> None:
    assert_deployment_mended({"strategy": strategy}, f"strategy/{pointer}")


@pytest.mark.parametrize("policy", ["Never", "OnFailure", "always", ""])
def test_the_pods_of_a_deployment_restart(policy: str) -> None:
    assert_deployment_mended({"pod": {"restartPolicy": policy}}, "template/spec/restartPolicy")


@pytest.mark.parametrize("check", [check_deployment, check_job, check_cron_job])
def test_a_workload_has_a_spec_and_a_template(check: rules.Rule) -> None:
    rules.assert_refused(check, {}, "/spec")
    spec = {
        "schedule": "@daily",
        "concurrencyPolicy": "Forbid",
        "ttlSecondsAfterFinished": 600,
        "jobTemplate": {"spec": {}},
    }
    of = "jobTemplate/spec/" if check is check_cron_job else ""
    rules.assert_refused(check, {"spec": spec}, f"/spec/{of}template")


@pytest.mark.parametrize("template", [None, {}, {"metadata": {}}])
def test_a_cron_job_has_a_template_with_a_spec(template: Any) -> None:
    refuse_cron_job(create_cron_job_manifest(jobTemplate=template), "/spec/jobTemplate/spec")


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"suspend": True},
        {"parallelism": 0, "completions": 1, "backoffLimit": 0, "ttlSecondsAfterFinished": 600},
        {"parallelism": 10, "completions": 100, "backoffLimit": 10},
        {"activeDeadlineSeconds": 86_400, "ttlSecondsAfterFinished": 86_400},
        {"completionMode": "Indexed", "completions": 3},
        {"pod": {"restartPolicy": "OnFailure"}},
    ],
)
def test_a_usual_job_is_admitted(spec: dict[str, Any]) -> None:
    assert rules.faults_of(check_job, create_job_manifest(**spec)) == ()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("parallelism", 10**9),
        ("parallelism", -1),
        ("completions", 10**9),
        ("completions", 0),
        ("backoffLimit", 10**9),
        ("backoffLimit", -1),
        ("activeDeadlineSeconds", 0),
        ("activeDeadlineSeconds", 86_401),
    ],
)
def test_c05_a_job_is_in_bounds(field: str, value: int) -> None:
    assert_job_mended({field: value}, field)


@pytest.mark.case("M12")
@pytest.mark.parametrize(
    ("seconds", "mended"),
    [
        (604_800, 86_400),
        (86_401, 86_400),
        (10**9, 86_400),
        (599, 600),
        (100, 600),
        (0, 600),
        (-1, 600),
    ],
)
def test_c05_a_finished_job_stays_ten_minutes_to_a_day(seconds: int, mended: int) -> None:
    assert_job_mended({"ttlSecondsAfterFinished": seconds}, "ttlSecondsAfterFinished")
    manifest = create_job_manifest(ttlSecondsAfterFinished=seconds)
    fault = rules.the_fault_of(check_job, manifest)
    assert rules.mended(manifest, fault)["spec"]["ttlSecondsAfterFinished"] == mended


def test_c05_a_job_goes_away_when_it_is_done() -> None:
    manifest = create_job_manifest(ttlSecondsAfterFinished=None)
    rules.assert_refused_and_mended(check_job, manifest, "/spec/ttlSecondsAfterFinished")


def test_the_jobs_of_a_cron_job_go_by_its_history_limits() -> None:
    manifest = create_cron_job_manifest(job={"ttlSecondsAfterFinished": None})
    assert rules.faults_of(check_cron_job, manifest) == ()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("backoffLimitPerIndex", 1),
        ("managedBy", "example.com/other"),
        ("manualSelector", True),
        ("maxFailedIndexes", 1),
        ("podFailurePolicy", {"rules": []}),
        ("podReplacementPolicy", "Failed"),
        ("selector", {"matchLabels": {"app": "web"}}),
        ("successPolicy", {"rules": []}),
    ],
)
def test_c05_a_job_is_a_plain_one(field: str, value: Any) -> None:
    assert_job_mended({field: value}, field)


@pytest.mark.parametrize("policy", [None, "Always", "never"])
def test_c05_the_pods_of_a_job_end(policy: Any) -> None:
    pod = {"restartPolicy": policy}
    manifest = create_job_manifest(pod=pod)
    pointer = "/spec/template/spec/restartPolicy"
    rules.assert_refused_and_mended(check_job, manifest, pointer)
    manifest = create_cron_job_manifest(pod=pod)
    pointer = "/spec/jobTemplate/spec/template/spec/restartPolicy"
    rules.assert_refused_and_mended(check_cron_job, manifest, pointer)


def test_c05_an_index_counts_to_something() -> None:
    assert_job_mended({"completionMode": "Indexed"}, "completions")
    assert_job_mended({"completionMode": "indexed"}, "completionMode")


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"schedule": "*/5 * * * *"},
        {"schedule": "@hourly"},
        {"schedule": "0 0 * jan-MAR sun,Mon"},
        {"schedule": " 0  9-17/2 1,15 * 1-5 "},
        {"schedule": "5/10 * * * *"},
        {"concurrencyPolicy": "Replace", "suspend": True},
        {"successfulJobsHistoryLimit": 0, "failedJobsHistoryLimit": 10},
        {"startingDeadlineSeconds": 10},
        *({"timeZone": zone} for zone in ("UTC", "Etc/UTC", "Europe/Berlin", "Etc/GMT+5")),
        {"timeZone": "America/Argentina/Buenos_Aires"},
        {"timeZone": "America/Port-au-Prince"},
    ],
)
def test_a_usual_cron_job_is_admitted(spec: dict[str, Any]) -> None:
    assert rules.faults_of(check_cron_job, create_cron_job_manifest(**spec)) == ()


@pytest.mark.parametrize(
    "schedule",
    ["* * * * *", "*/4 * * * *", "*/7 3,4 * * *", "0,1 0 1 1 *", "0,58 0,23 * * *", " * 1 * * *"],
)
def test_c06_a_cron_job_runs_every_five_minutes_at_most(schedule: str) -> None:
    assert_cron_job_mended({"schedule": schedule}, "schedule")


def test_c06_a_long_schedule_is_not_echoed() -> None:
    schedule = f"* {','.join(map(str, range(24)))} * * *"
    refuse_cron_job(create_cron_job_manifest(schedule=schedule), "/spec/schedule")


@pytest.mark.parametrize(
    "schedule",
    [
        None,
        "",
        "@every 1s",
        "@Hourly",
        "@reboot",
        "TZ=UTC * * * * *",
        "CRON_TZ=UTC 0 * * * *",
        "TZ=UTC 0 * * *",
        "0 0 * *",
        "0 0 0 * * *",
        "60 * * * *",
        "0 24 * * *",
        "0 0 0 * *",
        "0 0 * 13 *",
        "0 0 * * 7",
        "0 0 ? * *",
        "0 0 L * *",
        "*/0 * * * *",
        "5-1 * * * *",
        "1,,2 * * * *",
        "-1 * * * *",
        "*-5 * * * *",
        "1-2-3 * * * *",
        "1/2/3 * * * *",
        "jan * * * *",
        "+5 * * * *",
        "٣ * * * *",
        "0\t0 * * *",
        "0 0 * * *\n",
        "0\u00a00 * * *",
        f"0{',0' * 200} * * * *",
        "0 0 31 2 *",
        "0 0 30-31 feb *",
    ],
)
def test_c06_a_schedule_can_be_read_and_comes_true(schedule: Any) -> None:
    refuse_cron_job(create_cron_job_manifest(schedule=schedule), "/spec/schedule")


@pytest.mark.parametrize(
    "zone",
    ["", "Local", "Mars/Olympus", "../etc/passwd", "Europe", "Europe/", "Europe/../UTC", "CET\n"],
)
def test_c06_a_time_zone_has_a_name(zone: str) -> None:
    refuse_cron_job(create_cron_job_manifest(timeZone=zone), "/spec/timeZone")


@pytest.mark.parametrize("policy", [None, "Allow", "forbid"])
def test_c06_the_runs_of_a_cron_job_do_not_pile_up(policy: Any) -> None:
    assert_cron_job_mended({"concurrencyPolicy": policy}, "concurrencyPolicy")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("successfulJobsHistoryLimit", 10**9),
        ("successfulJobsHistoryLimit", -1),
        ("failedJobsHistoryLimit", 11),
        ("startingDeadlineSeconds", 9),
        ("startingDeadlineSeconds", 86_401),
    ],
)
def test_c06_a_cron_job_is_in_bounds(field: str, value: int) -> None:
    assert_cron_job_mended({field: value}, field)


NUMBERS = st.sampled_from([-1, 0, 1, 10, 300, 301, 5000, 10**9])
SHARES = st.sampled_from([-1, 0, 1, 200, "0%", "25%", "x"])
DEPLOYMENTS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(
            ("replicas", "revisionHistoryLimit", "minReadySeconds", "progressDeadlineSeconds"),
            NUMBERS,
        ),
        "strategy": st.fixed_dictionaries(
            {},
            optional={
                "type": st.sampled_from(["Recreate", "RollingUpdate", "x"]),
                "rollingUpdate": st.fixed_dictionaries(
                    {}, optional={"maxSurge": SHARES, "maxUnavailable": SHARES}
                ),
            },
        ),
    },
)
JOBS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(
            (
                "parallelism",
                "completions",
                "backoffLimit",
                "activeDeadlineSeconds",
                "ttlSecondsAfterFinished",
                "managedBy",
            ),
            NUMBERS,
        ),
        "completionMode": st.sampled_from(["Indexed", "NonIndexed", "x"]),
    },
)
CRON_JOBS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("successfulJobsHistoryLimit", "startingDeadlineSeconds"), NUMBERS),
        "schedule": st.sampled_from(["* * 31 2 *", "* * * * *", "x", "@daily"]),
        "concurrencyPolicy": st.sampled_from(["Allow", "Forbid"]),
        "job": JOBS,
    },
)


@settings(deadline=None)  # a slow machine is no fault
@given(DEPLOYMENTS, JOBS, CRON_JOBS)
def test_fixes_hold_together(
    deployment: dict[str, Any], job: dict[str, Any], cron_job: dict[str, Any]
) -> None:
    rules.assert_fixes_hold(check_deployment, create_deployment_manifest(**deployment))
    rules.assert_fixes_hold(check_job, create_job_manifest(**job))
    rules.assert_fixes_hold(check_cron_job, create_cron_job_manifest(**cron_job))
