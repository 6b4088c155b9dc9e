"""JSON Schemas of what a card holds, and one sentence on what does not fit them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from textwrap import shorten
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from m3amba_zoo.errors import InputError

FRONT_MATTER = "schema.json"
METRICS = "metrics.schema.json"


def validate(content: Mapping[str, Any], schema: str, name: str) -> None:
    """Compare content with a schema.

    Args:
        content: of a file.
        schema: ``FRONT_MATTER`` or ``METRICS``.
        name: of the file, for the message.

    Raises:
        InputError: it does not fit; the message names the key, the value and what is expected.
    """
    try:
        plain = json.loads(json.dumps(content, default=str, allow_nan=False))
    except ValueError as error:
        raise InputError(f"{name}: holds a number that is none ({error})") from error
    fault = best_match(_validator(schema).iter_errors(plain))
    if fault is not None:
        key = ".".join(map(str, fault.absolute_path)) or "the top level"
        expected = fault.schema.get("description") if isinstance(fault.schema, Mapping) else None
        found = shorten(fault.message, 300, placeholder=" ...")
        raise InputError(f"{name}: in {key}, {found}" + (f"; expected: {expected}" if expected else ""))


@lru_cache
def _validator(schema: str) -> Draft202012Validator:
    content = json.loads(Path(__file__).with_name(schema).read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(content)
    return Draft202012Validator(content)
