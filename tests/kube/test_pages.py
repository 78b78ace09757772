"""Lists and events come in pieces, and are slim when they are complete."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest

from mailegress.api.names import FINALIZER, RECONCILE_ANNOTATION
from mailegress.api.slim import slim
from mailegress.kube.pages import LONG_LINE, ListReader, slim_event

BIG = "\N{LARGE RED CIRCLE}" * 1000


def item(number: int, note: str = BIG) -> dict[str, Any]:
    return {
        "metadata": {
            "name": f"n{number}",
            "namespace": "mail",
            "uid": f"u{number}",
            "resourceVersion": str(number),
            "labels": {"a": "b"},
            "annotations": {RECONCILE_ANNOTATION: "now", "mailegress.io/note": note, "other/[{": '}"\\'},
            "finalizers": ["other/x", FINALIZER, "other/y"],
            "managedFields": [{"manager": "kubectl"}],
        },
        "spec": {"hostname": "mta.example.com", "elasticIPs": []},
        "status": {"observedGeneration": 1},
    }


def page(count: int) -> dict[str, Any]:
    return {
        "apiVersion": "mailegress.io/v1alpha1",
        "items": [item(number) for number in range(count)],
        "kind": "MailEgressList",
        "metadata": {"continue": "token", "resourceVersion": "12345"},
    }


def read(data: bytes, piece: int) -> dict[str, Any]:
    reader = ListReader()
    for at in range(0, len(data), piece):
        reader.feed(data[at : at + piece])
    return reader.result()


@pytest.mark.parametrize("piece", [1, 7, 1000, 10_000_000])
@pytest.mark.parametrize("count", [0, 1, 3])
@pytest.mark.parametrize("indent", [None, 2])
def test_a_list_is_the_same_in_whatever_pieces_it_comes(piece: int, count: int, indent: int | None) -> None:
    whole = page(count)
    data = json.dumps(whole, indent=indent, ensure_ascii=False).encode()
    wanted = whole | {"items": [slim(one) for one in whole["items"]]}
    assert read(data, piece) == wanted


@pytest.mark.parametrize(
    "text", ["", "[]", "3", "{", '{"items": [', '{"items": [{}', '{"a" 1}', "{} x", '{"a": 1']
)
def test_what_is_not_one_whole_object_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="JSON"):
        read(text.encode(), 1)


@pytest.mark.parametrize(
    "text", ['{"a": 12345, "items": null}', '{"resources": [{"name": "x"}]}', "{}", " {} "]
)
def test_anything_else_is_read_as_it_is(text: str) -> None:
    assert read(text.encode(), 1) == json.loads(text)


def test_a_page_is_never_held_whole() -> None:
    one = json.dumps(item(1, "x" * 250_000)).encode()
    pieces = [b'{"items":[', *[one + b","] * 99, one, b"]}"]
    tracemalloc.start()
    reader = ListReader()
    for data in pieces:
        reader.feed(data)
    found = reader.result()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found["items"]) == 100
    assert most < 8 * len(one)


def test_a_slim_copy_has_our_own_finalizer_and_annotation_and_a_count() -> None:
    meta = slim(item(1))["metadata"]
    assert meta["finalizers"] == [FINALIZER]
    assert meta["annotations"] == {RECONCILE_ANNOTATION: "now"}
    assert meta["foreignFinalizers"] == 2
    assert slim(slim(item(1))) == slim(item(1))


def test_the_annotation_is_cut() -> None:
    body = item(1)
    body["metadata"]["annotations"][RECONCILE_ANNOTATION] = "y" * 100_000
    assert slim(body)["metadata"]["annotations"] == {RECONCILE_ANNOTATION: "y" * 256}


def test_a_long_event_is_slim_and_a_short_one_untouched() -> None:
    body = {"kind": "MailEgress", "apiVersion": "mailegress.io/v1alpha1", **item(1, "x" * LONG_LINE)}
    line = json.dumps({"type": "MODIFIED", "object": body}).encode() + b"\n"
    found = json.loads(slim_event(line))
    assert found["type"] == "MODIFIED"
    assert found["object"] == {"kind": "MailEgress", "apiVersion": "mailegress.io/v1alpha1", **slim(body)}
    short = b'{"type":"ERROR","object":{"code":410}}\n'
    assert slim_event(short) is short
