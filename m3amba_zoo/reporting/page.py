"""A page in one file: a template, a style, a script, Plotly's script and the data, all packed into it."""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.system import whole_file

_FOLDER = Path(__file__).parent / "page"


def write_page(path: Path, template: str, content: Mapping[str, Any], data: Mapping[str, Any]) -> None:
    """Write a page, in full or not at all.

    Args:
        path: of the file.
        template: name of a template in ``reporting/page``.
        content: what the template shows; every text of it is escaped.
        data: what the script shows, as JSON: ``pictures``, ``figures``, ``classes``, ``modalities``. Numbers
            that are not finite become null, because browsers read no others.

    Raises:
        InputError: if the file cannot be written.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False}
    own = {name: (_FOLDER / name).read_text(encoding="utf-8") for name in ("style.css", "page.js")}
    text = environment.get_template(template).render(
        **content, data=_finite(data), style=own["style.css"], script=own["page.js"], plotly=_plotly()
    )
    with whole_file(path) as aside:
        aside.write_text(text, encoding="utf-8")


def pack(content: bytes | NDArray[Any]) -> str:
    """Compress bytes, or an array's little-endian values in row-major order; return base64.

    The page's script unpacks it with the browser's ``DecompressionStream("deflate")``.
    """
    if isinstance(content, np.ndarray):
        content = content.astype(content.dtype.newbyteorder("<")).tobytes()
    return base64.b64encode(zlib.compress(content, 6)).decode()


def _finite(node: Any) -> Any:
    """Return JSON with None for each number that is NaN or infinite."""
    if isinstance(node, Mapping):
        return {key: _finite(value) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return [_finite(value) for value in node]
    return None if isinstance(node, float) and not math.isfinite(node) else node


@cache
def _plotly() -> str:
    """Return Plotly's script, packed: 4.5 MB become 1.8."""
    from plotly.offline import get_plotlyjs  # takes a while to import

    return pack(get_plotlyjs().encode())
