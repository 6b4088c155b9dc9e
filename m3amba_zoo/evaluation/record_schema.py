"""Of what type the entries of a ``metrics.json`` are that commands read (JSON Schema, draft 2020-12).

An entry may be absent, where a command can do without it, and there may be others. What a published card must
have is stated by ``workshop/cards/metrics.schema.json``.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
COUNT: Schema = {"type": "integer", "minimum": 0}
BOOLEAN: Schema = {"type": "boolean"}


def _object(**entries: Schema) -> Schema:
    return {"type": "object", "properties": entries}


def _each(entry: Schema) -> Schema:
    return {"type": "object", "additionalProperties": entry}


def _list(entry: Schema) -> Schema:
    return {"type": "array", "items": entry}


def _or_null(entry: Schema) -> Schema:
    return {**entry, "type": [entry["type"], "null"]}


BYTE: Schema = {"type": "integer", "minimum": 0, "maximum": 255}
COLOR: Schema = {"type": ["array", "null"], "items": BYTE, "minItems": 3, "maxItems": 3}
BANDS: Schema = {
    "required": ["count"],
    **_object(
        count={"type": "integer", "minimum": 1},
        names=_list(TEXT),
        wavelengths=_list(NUMBER),
        numbers=_list(COUNT),
        bands_in_file=COUNT,
        unit=TEXT,
        stated=_or_null(_object()),
        mean=_list(NUMBER),
        std=_list(NUMBER),
        lacking={**_list(COUNT), "minItems": 2, "maxItems": 2},
        fingerprint=TEXT,
        read_from=_list(TEXT),
    ),
}
RUN: Schema = _object(
    oa=NUMBER,
    aa=NUMBER,
    kappa=NUMBER,
    per_class=_list(
        {
            "required": ["name"],
            **_object(name=TEXT, accuracy=_or_null(NUMBER), support=COUNT, color=COLOR),
        }
    ),
    confusion=_list(_list(COUNT)),
    predicted=TEXT,
    pixels=COUNT,
    dataset=TEXT,
    simulated=BOOLEAN,
    modalities=_list(TEXT),
    wavelengths=_or_null(_each(_list(NUMBER))),
    inputs=_each(BANDS),
    split=_object(
        name=TEXT,
        part=TEXT,
        sha256=TEXT,
        test_sha256=TEXT,
        leaked_pixels=COUNT,
        window=COUNT,
        pixels=_each(COUNT),
        val=_or_null(_object()),
    ),
    selection=TEXT,
    weights=_or_null(_object(file=TEXT, sha256=TEXT, epoch=_or_null(COUNT))),
    seed=COUNT,
    model=_object(
        type=TEXT,
        parameters=_or_null(NUMBER),
        trained_parameters=_or_null(NUMBER),
        flops_per_pixel=_or_null(NUMBER),
        transductive=BOOLEAN,
    ),
    timing_s=_each(NUMBER),
    pixels_per_second=NUMBER,
    memory_mib=_each(NUMBER),
    threads=COUNT,
    extended=_list(_object()),
    config_sha256=TEXT,
    versions=_each(TEXT),
    machine=TEXT,
    commit=_or_null(TEXT),
    command=TEXT,
    run=_object(group=TEXT, dataset=TEXT, model=TEXT, config=TEXT, options=_list(TEXT), tuned=_list(TEXT)),
)
RECORD: Schema = {**RUN, "properties": {**RUN["properties"], "runs": _each(RUN)}}
"""A run's record, or a card's, which has one of each seed under ``runs``."""
