# SPDX-License-Identifier: MIT
"""What OpenAPI 3.1 asks of a document, as far as ours can break it: raises AssertionError with the place."""

import re

import jsonschema

OPERATION = {"tags", "summary", "description", "operationId", "deprecated", "parameters", "requestBody", "responses"}
PARAMETER = {"name", "in", "required", "schema", "description", "deprecated"}
METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}


def walk(value, at="#"):
    yield at, value
    for key, one in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from walk(one, f"{at}/{key}")


def check_schema(schema, at):
    jsonschema.Draft202012Validator.check_schema(schema)
    for place, one in walk(schema, at):
        if isinstance(one, dict) and isinstance(one.get("items"), list):
            raise AssertionError(f"{place}: items is a list, which is prefixItems in 2020-12")


def check_content(content, at):
    for kind, media in content.items():
        assert re.fullmatch(r"[\w.+-]+/[\w.+-]+", kind) and set(media) == {"schema"}, at
        check_schema(media["schema"], f"{at}/{kind}")


def check_operation(path, operation, at):
    assert set(operation) <= OPERATION and operation["responses"], at
    variables = re.findall(r"{([^}]*)}", path)
    assert len(variables) == len(set(variables)), at
    parameters = operation.get("parameters", [])
    names = [(p["in"], p["name"]) for p in parameters]
    assert len(names) == len(set(names)), (at, names)
    assert {name for where, name in names if where == "path"} == set(variables), (at, names)
    for p in parameters:
        assert set(p) <= PARAMETER and p["in"] in ("path", "query", "header", "cookie"), (at, p)
        assert p["required"] is True or p["in"] != "path", (at, p)
        check_schema(p["schema"], f"{at}/{p['name']}")
    body = operation.get("requestBody")
    if body is not None:
        assert set(body) <= {"description", "required", "content"} and isinstance(body["required"], bool), at
        check_content(body["content"], at)
    for status, response in operation["responses"].items():
        assert re.fullmatch(r"[1-5]\d\d|default", status) and isinstance(response["description"], str), at
        assert set(response) <= {"description", "content"}, at
        check_content(response.get("content", {}), f"{at}/{status}")


def check(document):
    assert set(document) <= {"openapi", "info", "servers", "paths", "components"}
    assert document["openapi"] == "3.1.0" and isinstance(document["paths"], dict)
    assert set(document["info"]) <= {"title", "version", "description"} and {"title", "version"} <= set(document["info"])
    assert all(set(server) == {"url"} for server in document.get("servers", []))
    schemas = document.get("components", {}).get("schemas", {})
    ids, shapes = [], []
    for path, item in document["paths"].items():
        assert path.startswith("/") and item and set(item) <= METHODS, path
        shapes.append(re.sub(r"{[^}]*}", "{}", path))
        for method, operation in item.items():
            check_operation(path, operation, f"{method} {path}")
            ids.append(operation["operationId"])
    assert len(ids) == len(set(ids)), ids
    assert len(shapes) == len(set(shapes)), shapes
    for name, schema in schemas.items():
        assert re.fullmatch(r"[A-Za-z0-9._-]+", name)
        check_schema(schema, name)
    used = set()
    for at, value in walk(document):
        if isinstance(value, dict) and isinstance(value.get("$ref"), str):
            assert value["$ref"].startswith("#/components/schemas/"), (at, value)
            used.add(value["$ref"].rpartition("/")[2])
    assert used <= set(schemas), used - set(schemas)
