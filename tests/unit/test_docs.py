"""What the pages promise: every link leads somewhere, every command exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_that_exist(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_are_targets_of_the_makefile(page: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^    )make ([a-z0-9-]+)", page.read_text(), re.MULTILINE))
    assert named - targets == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_and_modules_that_are_named_exist(page: Path) -> None:
    text = page.read_text()
    files = re.findall(r"`((?:chalicelib|tests|infra|docs|bench)/[\w/.-]*\w)`", text)
    modules = re.findall(r"python -m ([\w.]+)", text)
    wanted = [*files, *(f"{module.replace('.', '/')}.py" for module in modules)]
    assert [path for path in wanted if not (ROOT / path).exists()] == []


@pytest.mark.case("L7")
@pytest.mark.parametrize(
    "words", ["Public Suffix List", "Use a domain that serves nothing else", "__Host-"]
)
def test_the_deploy_guide_keeps_friends_cookies_apart(words: str) -> None:
    assert words in (ROOT / "docs/deploy.md").read_text()
