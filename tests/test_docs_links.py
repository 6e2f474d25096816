"""The docs' build finds links that lead nowhere."""

import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def broken_links():
    sys.path.insert(0, str(ROOT / "docs" / "_extensions"))
    try:
        import broken_links
    finally:
        sys.path.pop(0)
    return broken_links


@pytest.fixture
def problems(tmp_path, broken_links):
    """What is wrong with a page that has this link, beside another page."""
    (tmp_path / "guide").mkdir()
    (tmp_path / "guide" / "a page.html").write_text('<h1 id="it">It</h1>')
    (tmp_path / "logo.svg").write_text("<svg/>")

    def problems(link):
        page = tmp_path / "index.html"
        page.write_text(
            f'<h1 id="first"></h1><a href="{link}">a</a><img src="logo.svg">'
        )
        return list(broken_links.broken(page, {}))

    return problems


@pytest.mark.parametrize(
    "link",
    [
        "#",
        "#first",
        "index.html",
        "guide/a%20page.html#it",
        "./guide/../guide/a%20page.html",
        "logo.svg",
        "https://example.org/x?y=1#z",
        "mailto:a@example.org",
    ],
)
def test_good_links(problems, link):
    assert not problems(link)


@pytest.mark.parametrize(
    ("link", "problem"),
    [
        ("#second", "the page has no such part"),
        ("guide/a%20page.html#that", "the page has no such part"),
        ("guide/page.html", "there is no such file"),
        ("guide", "there is no such file"),
        ("https:///x", "is no address"),
        ("https://example.org/x y", "is no address"),
        ("htps://example.org", "is no address"),
        ("https://[example", "Invalid IPv6 URL"),
    ],
)
def test_broken_links(problems, link, problem):
    assert problems(link) == [(link, problem)]


def test_images_are_links(tmp_path, broken_links):
    page = tmp_path / "index.html"
    page.write_text('<img src="none.png">')
    assert list(broken_links.broken(page, {})) == [
        ("none.png", "there is no such file")
    ]
