"""Templates and values → the text of a page."""

from __future__ import annotations

import base64
import hashlib
import math
from importlib import resources
from numbers import Real
from typing import Any

from skplankton._report.pictures import HEIGHT, WIDTH
from skplankton._utils.extras import import_extra


def import_jinja() -> Any:
    """The module jinja2, or an ImportError with the command that installs it."""
    return import_extra("jinja2", "report", "A report needs Jinja2")


def render(template: str, **values: Any) -> str:
    """Render a template, with the style and the script in it.

    Every value is escaped. The page forbids the browser whatever is not in it: other
    files, the network, and any script but ours.
    """
    jinja2 = import_jinja()
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("skplankton._report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (count, fixed, name, number, share)
    environment.filters.update({filter.__name__: filter for filter in filters})
    parts = {}
    for part, file in (("style", "style.css"), ("script", "sort.js")):
        text = _text(file)
        parts[part], parts[f"{part}_hash"] = text, _content_hash(text)
    return environment.get_template(template).render(
        **values, **parts, sparkline_size=(WIDTH, HEIGHT)
    )


def _text(file: str) -> str:
    folder = resources.files("skplankton._report") / "templates"
    return (folder / file).read_text(encoding="utf-8")


def _content_hash(text: str) -> str:
    """As in a content security policy."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def name(text: Any) -> Any:
    """A name or id, escaped, in which a line may also be broken after a "_"."""
    from markupsafe import Markup, escape

    return Markup("<bdi>{}</bdi>").format(
        Markup("_<wbr>").join(escape(part) for part in str(text).split("_"))
    )


def is_number(value: Any) -> bool:
    """Whether there is a value: a finite number."""
    return isinstance(value, Real) and math.isfinite(value)


def number(value: Any) -> str:
    """A number with three digits, "–" if there is none."""
    if not is_number(value):
        return "–"
    if value == 0 or 0.001 <= abs(value) < 1e6:
        digits = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
        text = f"{value:,.{digits}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{value:.2e}"


def count(value: Any) -> str:
    """A number of things, "–" if there is none."""
    if not is_number(value):
        return "–"
    return f"{value:,.0f}" if float(value).is_integer() else number(value)


def fixed(value: Any, n_decimals: int = 3) -> str:
    """A number with as many decimals as those below it, "–" if there is none."""
    return f"{value:.{n_decimals}f}" if is_number(value) else "–"


def share(value: Any) -> str:
    """A share in percent, "–" if there is none."""
    if not is_number(value):
        return "–"
    percent = 100 * value
    return f"{percent:.1f} %" if percent < 10 else f"{percent:.0f} %"
