"""What the local stack says when it is ready."""

from infra.local.stack import _ready_text

ENVIRONMENT = {
    "API_URL": "http://api.example/local",
    "ADMIN_TOKEN": "admin-token",
    "AGENT_TOKEN": "agent-token",
    "AGENT_ID": "mochi",
    "AWS_ENDPOINT_URL": "http://aws.example",
    "WORKSPACE_BUCKET": "workspace",
}


def test_the_url_is_the_one_that_the_guide_puts_api_after() -> None:
    lines = _ready_text(ENVIRONMENT).splitlines()
    (shown,) = (line.split()[-1] for line in lines if line.startswith("Friends API"))
    assert shown == ENVIRONMENT["API_URL"]
    assert sum(f"{shown}/api/friends" in line for line in lines) == 2
