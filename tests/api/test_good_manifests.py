"""Hundreds of good manifests, one feature each: neither admission nor a cluster refuses any.

Each is judged alone: a dry run has the cluster validate it as an apply would, and keeps nothing.
"""

import json
from typing import Final

import pytest

from tests.harness import Api
from tests.threats.plugin import Count
from tests.unit.domain.admission.permitted import permitted_manifests
from tests.unit.domain.admission.requests import faults_of

PARTS: Final = 4
URL: Final = "/api/friends/alice/namespace/apply?dry_run=true"


@pytest.mark.parametrize("part", range(PARTS))
def test_no_good_manifest_is_refused(api: Api, count: Count, part: int) -> None:
    api.register_friend()
    texts = dict.fromkeys(json.dumps(each, sort_keys=True) for each in permitted_manifests())
    refused = []
    mine = [json.loads(text) for text in list(texts)[part::PARTS]]
    for manifest in mine:
        answer = api.post(URL, manifest)
        if faults_of(manifest) or answer.status != 200:
            refused.append((manifest, answer.text))
    count("good manifests", tried=len(mine), refused=len(refused))
    assert refused == []
    assert len(texts) >= 500
