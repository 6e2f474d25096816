"""After a build: a warning for each broken link, and each path of this machine.

Of links within the pages, the file and the part of it have to be there; of links to
elsewhere, the address has to be well formed, as a build needs no network.
"""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

SCHEMES = ("http", "https", "mailto", "data")


class Page(HTMLParser):
    """The addresses that a page links to or loads, and the names of its parts."""

    def __init__(self, path):
        super().__init__()
        self.links, self.parts = set(), {"", "top"}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.links |= {values[n] for n in ("href", "src") if values.get(n)}
        self.parts |= {values[n] for n in ("id", "name") if values.get(n)}


def broken(path, pages):
    """The links of a page that lead nowhere, with what is wrong; `pages` is a cache."""

    def parsed(path):
        if path not in pages:
            pages[path] = Page(path)
        return pages[path]

    for link in sorted(parsed(path).links):
        try:
            parts = urlsplit(link)
        except ValueError as error:
            yield link, str(error)
            continue
        if parts.scheme or parts.netloc:
            is_known = parts.scheme in SCHEMES
            has_host = parts.netloc or parts.scheme in ("mailto", "data")
            if not (is_known and has_host) or " " in link.partition(",")[0]:
                yield link, "is no address"
            continue
        target = path.parent / unquote(parts.path) if parts.path else path
        target = target.resolve()
        part = unquote(parts.fragment)
        if not target.is_file():
            yield link, "there is no such file"
        elif target.suffix == ".html" and part not in {"", *parsed(target).parts}:
            yield link, "the page has no such part"


def check(app, error):
    if error is not None or app.builder.format != "html":
        return
    from sphinx.util import logging  # the tests of what is above need no Sphinx

    logger = logging.getLogger(__name__)
    pages = {}
    folder = Path(app.outdir).resolve()
    here = str(Path(app.srcdir).resolve().parent)
    names = [*app.env.found_docs, "genindex", "search"]
    for path in (folder / f"{name}.html" for name in sorted(names)):
        where = path.relative_to(folder)
        for link, problem in broken(path, pages):
            logger.warning("%s links to %s: %s", where, link, problem)
        if here in path.read_text(encoding="utf-8"):
            logger.warning("%s shows the path of the checkout, %s", where, here)


def setup(app):
    app.connect("build-finished", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
