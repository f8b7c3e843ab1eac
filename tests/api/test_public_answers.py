"""What callers may read without a token: small, and cached on the way."""

import gzip

import pytest

from tests.harness import Api

# Bytes as they are, and as API Gateway compresses them.
SIZES = {
    "/api/health": (100, 100),
    "/api/openapi.json": (131_072, 20_000),
    "/api/docs": (131_072, 20_000),
}


@pytest.mark.case("M7")
@pytest.mark.parametrize("path", SIZES)
def test_a_public_answer_is_small(api: Api, path: str) -> None:
    text = api.get(path, token=None).text.encode()
    most, most_compressed = SIZES[path]
    assert len(text) <= most
    assert min(len(text), len(gzip.compress(text))) <= most_compressed


@pytest.mark.case("M7")
@pytest.mark.parametrize("path", SIZES)
def test_a_public_answer_may_be_kept_and_is_not_sent_twice(api: Api, path: str) -> None:
    first = api.get(path, token=None)
    assert first.headers["Cache-Control"].startswith("public, max-age=")
    assert first.headers["Vary"] == "Accept-Encoding"
    tag = first.headers["ETag"]
    for had in (tag, f'"other", {tag}', tag.removeprefix("W/"), "*", ['"other"', tag]):
        again = api.get(path, token=None, headers={"If-None-Match": had})
        assert (again.status, again.text) == (304, ""), had
        assert again.headers["ETag"] == tag
    for had in ('"other"', "no tag at all", '""', ""):
        assert api.get(path, token=None, headers={"If-None-Match": had}).status == 200


@pytest.mark.case("M7")
@pytest.mark.parametrize("path", SIZES)
def test_another_deployments_tag_is_not_ours(api: Api, path: str) -> None:
    answer = api.get(path, token=None, headers={"If-None-Match": 'W/"0123456789abcdef"'})
    assert (answer.status, answer.text != "") == (200, True)


@pytest.mark.case("M7")
@pytest.mark.parametrize(
    "path", ["/api/health?x=1", "/api/friends", "/api/domains", "/api/friends/alice"]
)
def test_refusals_and_answers_that_need_a_token_are_not_cached(api: Api, path: str) -> None:
    api.register_friend()
    for token in (None, "fapi_admin-token-0123456789"):
        answer = api.get(path, token=token, headers={"If-None-Match": "*"})
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.status != 304
