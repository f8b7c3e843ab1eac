"""The deploy guide: no step is missing, and its commands do what it says of them."""

from __future__ import annotations

import json
import re
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

from chalicelib.domain.domains import parse_domains
from chalicelib.domain.ingress_routes import ENTRY_POINTS
from chalicelib.gateways.kubeconfig import parse_kubeconfig
from infra.kubeconfig import flatten
from tests.factories import KUBECONFIG_SECRETS

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs/deploy.md").read_text()
CONFIG = ROOT / ".chalice/config.json"
WORDS = " ".join(PAGE.split())
# Runs of indented lines, with the empty lines between them.
BLOCKS = [
    textwrap.dedent(each)
    for each in re.findall(r"(?:^    .*\n(?:\n+(?=    ))?)+", PAGE, re.MULTILINE)
]
HEREDOC = re.compile(r"<<EOF[^\n]*\n(.*?)^EOF", re.MULTILINE | re.DOTALL)
UUID = "6ff42ae2-765d-4adf-8112-31c55c1551ef"

STEPS = {
    "the rights to deploy": [
        "arn:aws:iam::aws:policy/PowerUserAccess",
        '"iam:*Role*"',
        "role/friends-api-*",
        "CAPABILITY_IAM",
    ],
    "the region": ["export AWS_DEFAULT_REGION="],
    "the quota": ["get-account-settings", "request-service-quota-increase", "WorkerConcurrency=0"],
    "EKS: kubectl's access": ["eks create-access-entry", "AmazonEKSClusterAdminPolicy"],
    "EKS: Traefik without an address": [
        "helm repo update traefik",
        "--set service.spec.type=ClusterIP",
    ],
    "EKS: network policies": [
        '{"enableNetworkPolicy": "true"}',
        "wait addon-active",
        "grep -e --enable-network-policy=true",
        "NETWORK_POLICY_ENFORCING_MODE=strict",
        "standard mode",
    ],
    "EKS: the public endpoint": ["publicAccessCidrs=0.0.0.0/0", "Lambda has no fixed address"],
    "EKS: metadata": ["--http-tokens required --http-put-response-hop-limit 1"],
    "EKS: tokens of a day": [
        "after 24 hours",
        "kubernetes.io/service-account-token",
        "The risk: it never expires",
        "**on a schedule**",
        "CredentialDays=0",
    ],
    "EKS: process ids": ["podPidsLimit: 1024"],
    "k3s: the server's address": ["tls-san: [k3s.example.org]", r"s/127\.0\.0\.1/k3s.example.org/"],
    "k3s: the firewall": ["Open port 6443"],
    "k3s: Traefik": ["INGRESS=kube-system", '"INGRESS_NAMESPACE": "kube-system"'],
    "k3s: process ids": ["kubelet-arg: [pod-max-pids=1024]"],
    "k3s: metadata": ["iptables -I FORWARD -d 169.254.0.0/16 -j DROP"],
    "the cluster's DNS": ["DNS from pods in `kube-system`", "NodeLocal DNSCache does not work"],
    "nodes' public addresses": ['"CLUSTER_CIDRS": "', "kubectl get nodes -o wide"],
    "Traefik: the install line": [
        "helm repo add traefik https://traefik.github.io/charts",
        "helm upgrade --install traefik traefik/traefik --namespace traefik --create-namespace",
        "kubectl get crd ingressroutes.traefik.io",
    ],
    "Traefik: entry points": [f"named `{ENTRY_POINTS[0]}` and `{ENTRY_POINTS[1]}`"],
    "Traefik: ingress class": ["`providers.kubernetesCRD.ingressClass` is empty"],
    "Traefik: other namespaces": ["`allowCrossNamespace` is off"],
    "Traefik: host network": ["No `hostNetwork`"],
    "the API's account": ["kubectl apply -k infra/cluster", "create token friend-api"],
    "a kubeconfig outside of the work tree": [
        "dir=$(mktemp -d)",
        "umask 077",
        'FILE="$dir/kubeconfig"; rm -r "$dir"',
    ],
    "base64 of macOS": [r"base64 < ca.crt | tr -d '\n'"],
    "the zone's token": ["Zone / DNS / Edit", "no client IP filter"],
    "the tunnel": [
        "cloudflared tunnel create friends",
        '"$uuid.cfargotunnel.com"',
        "(not its name)",
    ],
    "the tunnel's rules": [
        'service: "http://traefik.$INGRESS.svc:80"',
        'service: "http_status:404"',
        "catch-all",
    ],
    "the SSL/TLS mode": ["Full (strict)", "| Full. ", "Do not use Flexible"],
    "certificates below the first level": [
        "one level below the zone",
        "Advanced Certificate Manager",
    ],
    "the domains of routes": ["make route-domains DOMAINS=domains.json"],
    "the secrets": ["make store-cloudflare-token", "make mint-token ROLE=admin"],
    "the names of deleted secrets": [
        "7 to 30 days",
        "restore-secret",
        "--force-delete-without-recovery",
    ],
    "the settings": ["> ../friends-api-settings.json", "python3 - <<EOF"],
    "the deployment": ["make deploy STAGE=prod DOMAINS=domains.json", "make doctor STAGE=prod"],
    "the upgrade": [
        "git diff .chalice/config.json",
        "git checkout -- .chalice/config.json",
        "git checkout <version>",
    ],
    "the table's protection": ["--no-deletion-protection-enabled"],
    "the bucket to empty": ["object_versions.delete()", "aws s3 rb s3://$bucket"],
}
IN_ORDER = [
    "attach-user-policy",
    "export AWS_DEFAULT_REGION",
    "### EKS",
    "### k3s",
    "### Traefik",
    "kubectl apply -k infra/cluster",
    "token=$(kubectl",
    "make store-kubeconfig",
    "## 2. The zone",
    "cloudflared tunnel create",
    "cat > domains.json",
    "make route-domains",
    "make store-cloudflare-token   ",
    "make mint-token ROLE=admin",
    "../friends-api-settings.json",
    "\n    make deploy STAGE=prod DOMAINS=domains.json",
    "\n    make doctor",
    "## Upgrade",
    "## Remove",
]
# Names of other projects, which nothing of ours reads.
NAMES_OF_OTHERS = {
    "API_AND_CONFIG_MAP",
    "AWS_PROFILE",
    "NETWORK_POLICY_ENFORCING_MODE",
}
READERS = [
    *ROOT.glob("chalicelib/**/*.py"),
    *ROOT.glob("infra/**/*.py"),
    ROOT / "Makefile",
    ROOT / "infra/resources.yaml",
]


def find_block(words: str) -> str:
    """Return the first block of commands that has these words."""
    return next(each for each in BLOCKS if words in each)


def run(script: str, directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run commands of the page in a directory, with programs of its bin before all others."""
    path = f"{directory.parent / 'bin'}:/usr/local/bin:/usr/bin:/bin"
    identity = {
        f"GIT_{who}_{what}": "x@y" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    return subprocess.run(  # noqa: S603 - ours
        ["/bin/bash", "-euc", script],
        cwd=directory,
        env={"PATH": path, "HOME": str(directory.parent), **identity, **environment},
        capture_output=True,
        text=True,
        check=True,
    )


def write_program(file: Path, script: str) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"#!/bin/sh\n{script}")
    file.chmod(0o755)


@pytest.mark.case("W11")
@pytest.mark.parametrize("step", STEPS)
def test_the_guide_has_the_step(step: str) -> None:
    assert [words for words in STEPS[step] if words not in WORDS] == []


@pytest.mark.case("W11")
def test_the_steps_are_in_the_order_in_which_they_are_needed() -> None:
    places = [PAGE.index(each) for each in IN_ORDER]
    assert places == sorted(places)


@pytest.mark.case("W11")
def test_each_variable_that_the_guide_names_is_read_by_something() -> None:
    read = "\n".join(each.read_text() for each in READERS)
    named = set(re.findall(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b", PAGE)) - NAMES_OF_OTHERS
    named |= set(re.findall(r"make [^\n`]*?\b([A-Z]+)=", PAGE))
    assert [each for each in sorted(named) if not re.search(rf"\b{each}\b", read)] == []


@pytest.mark.case("W11")
def test_each_parameter_that_the_guide_sets_is_one_of_the_stack() -> None:
    template = (ROOT / "infra/resources.yaml").read_text()
    parameters = set(yaml.safe_load(template.partition("\nResources:")[0])["Parameters"])
    named = set(re.findall(r"--parameter (\w+)=", WORDS)) - {"NAME"}
    assert named
    assert named <= parameters


@pytest.mark.case("W11")
def test_the_guide_names_each_service_whose_resources_the_stack_has() -> None:
    names = {"WAFv2": "WAF", "Logs": "CloudWatch Logs"}
    template = (ROOT / "infra/resources.yaml").read_text()
    services = set(re.findall(r"^    Type: AWS::(\w+)::", template, re.MULTILINE))
    listed = WORDS.partition("the services are ")[2].partition("From here on")[0]
    assert [each for each in sorted(services) if names.get(each, each) not in listed] == []


@pytest.mark.case("W11")
def test_its_commands_are_a_shells_and_their_documents_are_well_formed() -> None:
    # A word in angle brackets is for the reader to fill in.
    script = re.sub(r"<[A-Za-z0-9][^<>\n]*>(?=[\s\"'/,.;)]|$)", "x", "\n".join(BLOCKS))
    done = subprocess.run(
        ["/bin/bash", "-n"], input=script, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    documents = [each for each in HEREDOC.findall(script) if not each.startswith("import ")]
    assert all(isinstance(yaml.safe_load(each), dict | list) for each in documents)


@pytest.mark.case("W11")
def test_the_kubeconfig_of_the_guide_is_accepted_and_does_not_stay(tmp_path: Path) -> None:
    (tree := tmp_path / "tree").mkdir()
    (temporary := tmp_path / "temporary").mkdir()
    authority = KUBECONFIG_SECRETS["authority"]
    write_program(
        tmp_path / "bin/kubectl",
        'case "$*" in *cluster.server*) printf https://kube.example.org:6443 ;;\n'
        f"*) printf %s '{authority}' | base64 | tr -d '\\n' ;; esac\n",
    )
    write_program(
        tmp_path / "bin/make",
        'for each in "$@"; do case "$each" in FILE=*) ls -l "${each#FILE=}"; cp "${each#FILE=}" '
        f"{tmp_path}/stored ;; esac; done\n",
    )
    done = run(find_block("make store-kubeconfig"), tree, TMPDIR=str(temporary), token="a.b.c")  # noqa: S106 - no token
    access = parse_kubeconfig(yaml.safe_dump(flatten(tmp_path / "stored")), allow_loopback=False)
    assert (access.server, access.token) == ("https://kube.example.org:6443", "a.b.c")
    assert done.stdout.startswith("-rw-------")
    assert [*tree.iterdir(), *temporary.iterdir()] == []


@pytest.mark.case("W11")
def test_the_domains_of_the_guide_are_accepted(tmp_path: Path) -> None:
    (tree := tmp_path / "tree").mkdir()
    write_program(tmp_path / "bin/make", "")
    block = re.sub(r"<32 hex[^>]*>", "0" * 32, find_block("cat > domains.json"))
    run(block, tree, uuid=UUID, domain="example.net")
    (domain,) = parse_domains((tree / "domains.json").read_text())
    assert (domain.name, domain.target) == ("example.net", f"{UUID}.cfargotunnel.com")


@pytest.mark.case("W11")
@pytest.mark.parametrize("way", [("old", "new"), ("old", "new", "old")], ids=["up", "up and back"])
def test_settings_are_kept_through_an_upgrade_by_the_commands_of_the_guide(
    way: tuple[str, ...], tmp_path: Path
) -> None:
    # The new version has changed the lines around the settings, so that nothing could be merged.
    (origin := tmp_path / "origin").mkdir()
    run("git init -q && mkdir .chalice", origin)
    for version, config in (
        ("old", _config()),
        ("new", _config(INGRESS_NAMESPACE="other", NEW="1")),
    ):
        (origin / ".chalice/config.json").write_text(json.dumps(config, indent=2) + "\n")
        run(f"git add . && git commit -qm {version} && git tag {version}", origin)
    tree = tmp_path / "tree"
    run(f"git clone -q {origin} {tree} && cd {tree} && git checkout -q old", tmp_path)
    merge = find_block("import json, pathlib")
    run(find_block("> ../friends-api-settings.json").splitlines()[0], tree)
    run(merge, tree)
    for version in way[1:]:
        run(find_block("git checkout <version>").replace("<version>", version), tree)
        run(merge, tree)
    variables = json.loads((tree / ".chalice/config.json").read_text())["environment_variables"]
    assert variables["INGRESS_NAMESPACE"] == "kube-system"
    assert "CLUSTER_CIDRS" in variables
    assert ("NEW" in variables) is (way[-1] == "new")


def _config(**variables: str) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(CONFIG.read_text())
    config["environment_variables"].update(variables)
    return config
