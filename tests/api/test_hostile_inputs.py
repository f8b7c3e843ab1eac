"""Thousands of hostile requests through the app: each is refused, and nothing hears of it.

What may leave for a request that is refused are the reads that authorise its caller: the tokens,
and the friend's row. All else counts as a call: any write, and anything to the cluster, Cloudflare,
the workspace or Lambda.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import pytest

from chalicelib.gateways.seam import Outgoing, Seam
from infra.local.cloudflare import CloudflareDouble
from infra.local.cluster import ClusterDouble
from tests.aws_double import AwsDouble
from tests.described import ApiAnswer
from tests.harness import (
    TABLE,
    Api,
    LambdaContext,
    build_event,
    configure_domain,
    to_answer,
)
from tests.hostile import manifests, requests
from tests.hostile.requests import LONG, HostileRequest
from tests.manifests import create_config_map_manifest
from tests.threats.plugin import Count

T = TypeVar("T")
Try = Callable[[Iterable[HostileRequest]], None]

PARTS: Final = 4
AUTHORISING: Final = {
    ("secretsmanager", "get_secret_value"),
    ("dynamodb", "get_item"),
    ("dynamodb", "query"),
}
# What is wrong with the whole request has no place in it.
WITHOUT_PLACE: Final = {401, 404, 405, 413, 415}


class Watch(Seam):
    """A seam that keeps what leaves and has nothing to do with who is calling."""

    def __init__(self) -> None:
        """Nothing has left yet."""
        super().__init__()
        self.calls_out: list[Outgoing] = []

    def send(self, outgoing: Outgoing, request: Callable[[], T]) -> T:
        """Keep the call, and make it."""
        if (outgoing.system, outgoing.name) not in AUTHORISING:
            self.calls_out.append(outgoing)
        return super().send(outgoing, request)


@dataclass(frozen=True)
class Outside:
    """Everything that could hear of a request."""

    aws: AwsDouble
    kube: ClusterDouble
    cloudflare: CloudflareDouble

    def heard(self) -> list[Any]:
        """Return what has arrived, and what is recorded."""
        return [
            *self.kube.requests,
            *self.cloudflare.requests,
            *self.aws.invocations,
            *self.aws.items(TABLE),
        ]


@pytest.fixture
def outside(
    aws: AwsDouble, backend: None, kube: ClusterDouble, cloudflare: CloudflareDouble
) -> Outside:
    """The doubles, with nobody in them yet."""
    return Outside(aws, kube, cloudflare)


@pytest.fixture
def try_all(outside: Outside, count: Count) -> Try:
    """Send each distinct request, count what comes of it, and insist that it is a refusal."""
    watch = Watch()
    api = Api(configure_domain(outside.cloudflare), seam=watch)
    api.register_friend()

    def run(wanted: Iterable[HostileRequest]) -> None:
        before = outside.heard()
        watch.calls_out.clear()
        answers = {request: send(api, request) for request in dict.fromkeys(wanted)}
        count(
            "hostile inputs",
            tried=len(answers),
            accepted=sum(answer.status < 400 for answer in answers.values()),
            x_500=sum(answer.status >= 500 for answer in answers.values()),
            outbound_calls=len(watch.calls_out),
        )
        wrong = [
            (request, answer.status, answer.text[:200], fault)
            for request, answer in answers.items()
            for fault in faults_of(request, answer)
        ]
        assert (wrong[:5], watch.calls_out) == ([], [])
        assert outside.heard() == before

    return run


def send(api: Api, request: HostileRequest) -> ApiAnswer:
    """Send the request as API Gateway would, or as it might."""
    path, _, query = request.url.partition("?")
    headers = {"Authorization": [request.authorization]} if request.authorization else {}
    if request.body is not None:
        headers["Content-Type"] = [request.content_type]
    event = build_event(request.method, path, query, headers, request.body)
    if request.parameters:
        event["pathParameters"] = dict(request.parameters)
    return to_answer(api.app(event, LambdaContext()))


def faults_of(request: HostileRequest, answer: ApiAnswer) -> list[str]:
    """Return what is wrong with the answer to a hostile request."""
    if not 400 <= answer.status < 500:
        return ["not refused"]
    error, faults = answer.json, []
    fields = {"error", "code", "details", "request_id"}
    if error["code"] == "manifest_refused":
        fields |= {"results"}
    if error.keys() != fields or not error["code"]:
        faults.append("of another shape")
    if answer.status not in WITHOUT_PLACE and error["code"] != "malformed_json":
        places = [detail["path"] for detail in error["details"]]
        parent = request.spoilt.rpartition("/")[0]
        if not any(place == parent or place.startswith(request.spoilt) for place in places):
            faults.append("without its place")
    if LONG[:65] in answer.text:
        faults.append("a long value came back")
    return faults


@pytest.mark.parametrize("part", range(PARTS))
def test_a16_every_field_of_every_good_manifest_with_every_wrong_value(
    try_all: Try, part: int
) -> None:
    spoilt = list(dict.fromkeys(manifests.spoilt_manifests()))
    try_all(spoilt[part::PARTS])


def test_a06_to_a11_b01_to_b14_c01_c02_what_no_workload_may_have_in_every_place(
    try_all: Try,
) -> None:
    try_all(manifests.forbidden_manifests())


def test_a02_to_a05_what_is_of_no_permitted_kind(try_all: Try) -> None:
    try_all(manifests.forbidden_kinds())


def test_d01_to_d07_what_is_no_json_on_every_route_that_reads_it(try_all: Try) -> None:
    try_all(requests.hostile_bodies())


def test_e01_every_part_of_every_path_encoded_and_decoded(try_all: Try) -> None:
    try_all(requests.hostile_paths())


def test_e02_to_e04_parameters_on_every_route(try_all: Try) -> None:
    try_all(requests.hostile_queries())


def test_g02_to_g06_h01_h02_every_field_of_a_friend_and_an_exposure(try_all: Try) -> None:
    try_all(requests.hostile_fields())


def test_i01_i02_i08_no_credentials_on_every_route(try_all: Try) -> None:
    try_all(requests.hostile_callers())


def test_an_answer_that_is_no_refusal_is_noticed(api: Api) -> None:
    api.register_friend()
    fine = requests.post_json(manifests.APPLY, create_config_map_manifest())
    assert faults_of(fine, send(api, fine)) == ["not refused"]
    elsewhere = replace(fine, body=b'{"kind": "Pod"}', spoilt="/metadata/name")
    assert faults_of(elsewhere, send(api, elsewhere)) == ["without its place"]


def test_there_are_thousands() -> None:
    generators = (
        manifests.spoilt_manifests,
        manifests.forbidden_manifests,
        manifests.forbidden_kinds,
        requests.hostile_bodies,
        requests.hostile_paths,
        requests.hostile_queries,
        requests.hostile_fields,
        requests.hostile_callers,
    )
    groups = [set(generate()) for generate in generators]
    assert len(set().union(*groups)) == sum(map(len, groups)) >= 10_000
