"""Configuration from the environment, checked once, before anything is built from it."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from chalicelib.domain.dns import Domain
from chalicelib.domain.domains import parse_domains
from chalicelib.domain.friend_limits import FriendLimits
from chalicelib.domain.internet import WIDEST_PREFIX
from chalicelib.domain.namespace import ClusterLayout

_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_COUNT: Final = re.compile(r"[1-9][0-9]{0,4}")
_PATH: Final = re.compile(r"(?:/(?:[A-Za-z0-9._~-]+|\{apiId\}))*")
_URL: Final = re.compile(r"[a-z]+://[\x21-\x7e]+")
_NOT_IN_BASE_URLS: Final = re.compile(r"[@?#\\]")
_LABEL_PATTERN: Final = re.compile(r"[A-Za-z0-9*](?:[A-Za-z0-9._/*-]{0,251}[A-Za-z0-9*])?")
_MOST_LABEL_PATTERNS: Final = 64
# What Grafana's and Loki's sidecars, Prometheus' operator, the kubelet, Cilium, Flux and add-ons of
# a cluster select by, or take for their own.
DEFAULT_RESERVED_LABELS: Final = (
    "grafana_*,loki_*,prometheus,prometheus_*,prometheus.io/*,monitoring.coreos.com/*,release,"
    "k8s-app,io.kubernetes.*,io.cilium.*,*.toolkit.fluxcd.io/*,velero.io/*"
)
_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")


class SettingsError(Exception):
    """A variable is missing or bad; the message names it and says what it should be."""


@dataclass(frozen=True)
class Settings:
    """The settings, typed. cluster_names is never empty; its first is the default cluster.

    domains may be empty: then nothing can be exposed. Its first is the default domain.
    requests_per_second is what one token may send to one instance of the API's function.
    gateway_path is for what stands in for API Gateway: what its URLs have before the stage, which
    its events do not tell; {apiId} in it is the API's id.
    friend_limits bound how many friends are registered; those that are there already stay.
    reserved_labels are patterns of the keys that no friend's label may have.
    """

    table_name: str
    workspace_bucket: str
    api_tokens_secret: str
    kubeconfig_secret_prefix: str
    cluster_names: tuple[str, ...]
    layout: ClusterLayout
    run_operation_function: str
    reconcile_function: str
    allow_loopback_cluster: bool
    require_relationship: bool
    requests_per_second: int
    friend_limits: FriendLimits
    gateway_path: str
    reserved_labels: tuple[str, ...]
    log_level: str
    domains: tuple[Domain, ...]
    cloudflare_secret: str
    cloudflare_url: str

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Settings":
        """Read the settings from environment variables. Raises SettingsError."""
        return cls(
            table_name=_required(env, "TABLE_NAME"),
            workspace_bucket=_required(env, "WORKSPACE_BUCKET"),
            api_tokens_secret=env.get("API_TOKENS_SECRET", "friends/api-tokens"),
            kubeconfig_secret_prefix=env.get("KUBECONFIG_SECRET_PREFIX", "friends/kubeconfig/"),
            cluster_names=_names(env, "CLUSTERS", "main"),
            layout=ClusterLayout(
                system_namespace=_name(env, "SYSTEM_NAMESPACE", "friends-system"),
                ingress_namespace=_name(env, "INGRESS_NAMESPACE", "traefik"),
                cluster_cidrs=_cidrs(env, "CLUSTER_CIDRS"),
            ),
            run_operation_function=_worker_name(env),
            # Only reconcile starts reconcile, and Lambda tells a function its own name.
            reconcile_function=env.get("AWS_LAMBDA_FUNCTION_NAME", "reconcile"),
            allow_loopback_cluster=_flag(env, "ALLOW_LOOPBACK_CLUSTER"),
            require_relationship=_flag(env, "REQUIRE_RELATIONSHIP"),
            requests_per_second=_count(env, "REQUESTS_PER_SECOND", "5", most=9999),
            friend_limits=FriendLimits(
                per_agent=_count(env, "FRIENDS_PER_AGENT", "25", most=10_000),
                in_all=_count(env, "FRIENDS_MOST", "1000", most=10_000),
            ),
            gateway_path=_gateway_path(env),
            reserved_labels=_label_patterns(env, "RESERVED_LABELS", DEFAULT_RESERVED_LABELS),
            log_level=_choice(env, "LOG_LEVEL", _LEVELS, "INFO"),
            domains=_domains(env),
            cloudflare_secret=env.get("CLOUDFLARE_SECRET", "friends/cloudflare"),
            cloudflare_url=_cloudflare_url(env),
        )


def _required(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "")
    if not value:
        msg = f"Set {name}: it has no default."
        raise SettingsError(msg)
    return value


def _worker_name(env: Mapping[str, str]) -> str:
    # The worker hands on to itself: it cannot be told its own name, but Lambda tells it.
    if name := env.get("RUN_OPERATION_FUNCTION"):
        return name
    return env.get("AWS_LAMBDA_FUNCTION_NAME") or _required(env, "RUN_OPERATION_FUNCTION")


def _flag(env: Mapping[str, str], name: str) -> bool:
    return _choice(env, name, ("true", "false"), "false") == "true"


def _choice(env: Mapping[str, str], name: str, choices: tuple[str, ...], default: str) -> str:
    value = env.get(name) or default
    if value not in choices:
        msg = f"{name} must be one of: {', '.join(choices)}."
        raise SettingsError(msg)
    return value


def _count(env: Mapping[str, str], name: str, default: str, *, most: int) -> int:
    value = env.get(name) or default
    if not _COUNT.fullmatch(value) or int(value) > most:
        msg = f"{name} must be a whole number from 1 to {most}."
        raise SettingsError(msg)
    return int(value)


def _gateway_path(env: Mapping[str, str]) -> str:
    value = env.get("GATEWAY_PATH", "")
    if not _PATH.fullmatch(value):
        msg = "GATEWAY_PATH must be a path such as /_aws/execute-api/{apiId}, or be left out."
        raise SettingsError(msg)
    return value


def _name(env: Mapping[str, str], name: str, default: str) -> str:
    value = env.get(name) or default
    if not _NAME.fullmatch(value):
        msg = f"{name} must be a lower-case DNS label."
        raise SettingsError(msg)
    return value


def _names(env: Mapping[str, str], name: str, default: str) -> tuple[str, ...]:
    values = _split(env.get(name) or default)
    if len(set(values)) != len(values) or not values or not all(map(_NAME.fullmatch, values)):
        msg = f"{name} must be distinct lower-case DNS labels, separated by commas."
        raise SettingsError(msg)
    return values


def _label_patterns(env: Mapping[str, str], name: str, default: str) -> tuple[str, ...]:
    # Set and empty reserves none.
    patterns = _split(env.get(name, default))
    if len(patterns) > _MOST_LABEL_PATTERNS or not all(map(_LABEL_PATTERN.fullmatch, patterns)):
        msg = (
            f"{name} must be keys of labels such as release or grafana_*, separated by commas,"
            f" {_MOST_LABEL_PATTERNS} at most."
        )
        raise SettingsError(msg)
    return patterns


def _cidrs(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    msg = (
        f"{name} must be IP ranges such as 203.0.113.0/24, separated by commas, none of them wider "
        f"than /{WIDEST_PREFIX}."
    )
    try:
        ranges = [ipaddress.ip_network(each) for each in _split(env.get(name, ""))]
    except ValueError:
        raise SettingsError(msg) from None
    if any(each.prefixlen < WIDEST_PREFIX for each in ranges):
        raise SettingsError(msg)
    return tuple(map(str, ranges))


def _domains(env: Mapping[str, str]) -> tuple[Domain, ...]:
    try:
        return parse_domains(env.get("DOMAINS", ""))
    except ValueError as error:
        raise SettingsError(str(error)) from None


def _cloudflare_url(env: Mapping[str, str]) -> str:
    url = env.get("CLOUDFLARE_URL") or "https://api.cloudflare.com/client/v4"
    if not _may_carry_a_token(url, allow_loopback=_flag(env, "ALLOW_LOOPBACK_CLUSTER")):
        msg = (
            "CLOUDFLARE_URL must be an https URL; http is for a loopback address alone, and only "
            "where ALLOW_LOOPBACK_CLUSTER is true."
        )
        raise SettingsError(msg)
    return url.rstrip("/")


def _may_carry_a_token(url: str, *, allow_loopback: bool) -> bool:
    if not _URL.fullmatch(url) or _NOT_IN_BASE_URLS.search(url):
        return False
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    if parts.scheme == "http":
        return allow_loopback and _is_loopback(host)
    return parts.scheme == "https" and host != ""


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
