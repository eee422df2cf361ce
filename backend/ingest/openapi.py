"""The OpenAPI words for bodies that are read by hand, item by item."""

from typing import Any, cast

from pydantic import BaseModel


def request_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return `openapi_extra` for a route whose body is a JSON document like `model`."""
    schema = model.model_json_schema()
    inlined = _inlined(schema, schema.pop("$defs", {}))
    content = {"application/json": {"schema": inlined}}
    return {"requestBody": {"required": True, "content": content}}


def _inlined(part: object, named: dict[str, Any]) -> object:
    """Replace references by what they name: OpenAPI has no place for `$defs`."""
    match part:
        case {"$ref": str(name)}:
            return _inlined(named[name.rsplit("/", 1)[-1]], named)
        case dict():
            members = cast("dict[str, object]", part)
            return {key: _inlined(value, named) for key, value in members.items()}
        case list():
            return [_inlined(value, named) for value in cast("list[object]", part)]
        case _:
            return part
