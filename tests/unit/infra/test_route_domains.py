"""What tells a cluster which domains friends' routes may be on."""

import json
from pathlib import Path

import pytest

from infra.route_domains import main

DOMAIN = {"zone_id": "0" * 32, "target": "t.cfargotunnel.com"}


def test_the_domains_of_the_file_are_printed_as_a_config_map(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "domains.json"
    names = ("friends.example", "apps.example.org")
    file.write_text(json.dumps([{"name": each, **DOMAIN} for each in names]))
    main([str(file)])
    printed = json.loads(capsys.readouterr().out)
    assert (printed["kind"], printed["metadata"]["namespace"]) == ("ConfigMap", "friends-system")
    assert printed["data"] == {"domains": "friends.example,apps.example.org"}


@pytest.mark.parametrize("text", ["", "{", '[{"name": "x"}]'])
def test_a_file_that_says_no_domains_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "domains.json"
    file.write_text(text)
    if text:
        with pytest.raises(SystemExit, match=r"domains\.json"):
            main([str(file)])
