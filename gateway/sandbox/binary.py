"""Binary resources as the bytes they stand for, both ways (FHIR R4 binary.html).

As on HAPI, a Binary is the resource to who asks for FHIR JSON, and raw to everybody else.
"""

from __future__ import annotations

import base64
from dataclasses import replace

import msgspec

from gateway.sandbox.message import Reply, Request, versioned
from gateway.sandbox.store import Version


def is_fhir(media_type: str | None) -> bool:
    """Whether a Content-Type, Accept or `_format` speaks of the resource; a body without a type is one."""
    return media_type is None or "json" in media_type


def wrap(request: Request) -> bytes:
    """The resource for a raw body."""
    media_type = request.headers["content-type"].partition(";")[0].strip()
    tree = {"resourceType": "Binary", "contentType": media_type}
    if len(request.path) > 1:
        tree["id"] = request.path[1]
    return msgspec.json.encode(tree | {"data": base64.b64encode(request.body).decode()})


def unwrap(version: Version, base: str) -> Reply:
    """The bytes that a Binary stands for; the resource itself if it does not say them properly."""
    reply = versioned(200, version, base)
    media_type, data = version.tree.get("contentType"), version.tree.get("data", "")
    # A stored type becomes a header, so it must not be able to end one.
    if not isinstance(media_type, str) or not (media_type.isascii() and media_type.isprintable()):
        return reply
    try:
        return replace(reply, body=base64.b64decode(data, validate=True), media_type=media_type)
    except (ValueError, TypeError):
        return reply
