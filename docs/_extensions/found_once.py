"""The search finds a class or function once: its page, not also what the page documents.

The names of methods, and all names for links, remain.
"""

from sphinx.domains.python import PythonDomain

NOT_SEARCHED = -1  # Sphinx's priority for it


class FoundOnceDomain(PythonDomain):
    def get_objects(self):
        for name, shown, kind, page, anchor, priority in super().get_objects():
            has_page = page == f"generated/{name}"
            yield (
                name,
                shown,
                kind,
                page,
                anchor,
                NOT_SEARCHED if has_page else priority,
            )


def setup(app):
    app.add_domain(FoundOnceDomain, override=True)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
