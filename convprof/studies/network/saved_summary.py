"""Layers, shapes and costs of networks out of the documents of ``--summary`` and ``--list``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from convprof.errors import InputError
from convprof.json_checks import array, count, mapping, number, words
from convprof.json_records import record, records
from convprof.networks.summary import Cost, Listed, Row, Summary
from convprof.problems.ties import Tie
from convprof.studies.network.saved_step import MOST_LAYERS, read_shape

_KNOWN = ("kind", "text")
MOST_NETWORKS = 1000


@dataclass(frozen=True, slots=True)
class SavedOp:
    """The operation of a layer, as a document has it."""

    kind: str
    text: str
    settings: dict[str, Any] = field(default_factory=dict)


def read_summary(fields: dict[str, Any]) -> Summary:
    """Return the network of a document; InputError says what is wrong with it."""
    network = mapping(fields.get("network"))
    layers = array(network.get("layers"))
    if not 1 <= len(layers) <= MOST_LAYERS:
        raise InputError("it has no layer, or far too many")
    return Summary(
        name=words(network.get("name")),
        input=read_shape(network.get("input")),
        output=read_shape(network.get("output")),
        rows=tuple(_row(mapping(layer)) for layer in layers),
        total=_cost(network.get("totals")),
        ties=records(Tie, network.get("shared", [])),
    )


def read_list(fields: dict[str, Any]) -> list[Listed]:
    """Return the networks of a document; InputError says what is wrong with it."""
    networks = array(fields.get("networks"))
    if not 1 <= len(networks) <= MOST_NETWORKS:
        raise InputError("it has no network, or far too many")
    return [_listed(mapping(network)) for network in networks]


def _listed(fields: dict[str, Any]) -> Listed:
    with_macs = fields.get("layers_with_macs")
    return Listed(
        name=words(fields.get("name")),
        input=read_shape(fields.get("input")),
        output=read_shape(fields.get("output")),
        total=_cost(fields.get("totals")),
        layers=count(fields.get("layers")),
        layers_with_macs=None if with_macs is None else count(with_macs, 0),
    )


def _row(fields: dict[str, Any]) -> Row:
    op = mapping(fields.get("op"))
    return Row(
        name=words(fields.get("name")),
        op=SavedOp(
            words(op.get("kind")),
            words(op.get("text")),
            {key: value for key, value in op.items() if key not in _KNOWN},
        ),
        reads=tuple(words(name) for name in array(fields.get("reads", []))),
        inputs=tuple(read_shape(shape) for shape in array(fields.get("inputs", []))),
        output=read_shape(fields.get("output")),
        cost=_cost(fields),
        share=number(fields.get("share")),
    )


def _cost(value: Any) -> Cost:
    cost = record(Cost, value)
    if min(cost.parameters, cost.macs, cost.flops, cost.bytes_min) < 0:
        raise InputError("a cost is below 0")
    return cost
