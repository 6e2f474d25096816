"""The search finds a class or function once: its page, but not also its signature.

The names of methods, and all names for links, remain.
"""

from sphinx.domains.python import PythonDomain

NOT_SEARCHED = -1  # Sphinx's priority for it


class FoundOnceDomain(PythonDomain):
    def get_objects(self):
        for name, shown, kind, page, anchor, priority in super().get_objects():
            if page == f"generated/{name}":
                priority = NOT_SEARCHED
            yield name, shown, kind, page, anchor, priority


def setup(app):
    app.add_domain(FoundOnceDomain, override=True)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
