"""Formulas as MathML, which browsers show without a script from elsewhere."""

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)


def _render(writer, node, as_block):
    text = node.astext()
    try:
        writer.body.append(tex2mathml(text, as_block=as_block))
    except MathError as error:
        LOGGER.warning("a formula cannot be read: %s", error, location=node)
        writer.body.append(writer.encode(text))
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer(
        "mathml",
        inline_renderers=(lambda writer, node: _render(writer, node, False), None),
        block_renderers=(lambda writer, node: _render(writer, node, True), None),
    )
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
