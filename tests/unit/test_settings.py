"""Configuration: typed, and named when it is missing or bad."""

import pytest

from chalicelib.settings import Settings, SettingsError

MINIMAL = {
    "TABLE_NAME": "friends",
    "WORKSPACE_BUCKET": "workspace",
    "RUN_OPERATION_FUNCTION": "run-operation",
}


def test_what_has_a_default_may_be_left_out() -> None:
    settings = Settings.from_env(MINIMAL)
    assert settings.cluster_names == ("main",)
    assert settings.api_tokens_secret == "friends/api-tokens"
    assert settings.layout.ingress_namespace == "traefik"
    assert not settings.allow_loopback_cluster
    assert not settings.require_relationship


def test_the_worker_hands_on_to_itself() -> None:
    worker = {**MINIMAL, "RUN_OPERATION_FUNCTION": "", "AWS_LAMBDA_FUNCTION_NAME": "itself"}
    assert Settings.from_env(worker).run_operation_function == "itself"


def test_values_are_parsed() -> None:
    settings = Settings.from_env(
        MINIMAL
        | {
            "CLUSTERS": "main, second",
            "REQUIRE_RELATIONSHIP": "true",
            "CLUSTER_CIDRS": "203.0.113.0/24,2001:db8::/32",
        }
    )
    assert settings.cluster_names == ("main", "second")
    assert settings.require_relationship
    assert settings.layout.cluster_cidrs == ("203.0.113.0/24", "2001:db8::/32")


@pytest.mark.parametrize("name", MINIMAL)
def test_a_missing_variable_is_named(name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.from_env({**MINIMAL, name: ""})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CLUSTERS", "main,main"),
        ("CLUSTERS", ","),
        ("CLUSTERS", "Main"),
        ("SYSTEM_NAMESPACE", "a/b"),
        ("INGRESS_NAMESPACE", "-x"),
        ("REQUIRE_RELATIONSHIP", "yes"),
        ("ALLOW_LOOPBACK_CLUSTER", "1"),
        ("LOG_LEVEL", "LOUD"),
        ("CLUSTER_CIDRS", "10.0.0.1/8"),
        ("CLUSTER_CIDRS", "everything"),
    ],
)
def test_a_bad_variable_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.from_env({**MINIMAL, name: value})
