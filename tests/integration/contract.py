"""The contract, openapi.yaml, held against every reply.

A `Client` records each reply under its operation and status, and fails at once where the
status, the type or the body is not what the contract says. At the end of a whole run
`missing()` lists the operations and documented statuses that no test produced.
"""
import json
import re

import jsonschema_rs
import yaml

import live

SPEC = yaml.safe_load((live.ROOT / "openapi.yaml").read_text())
METHODS = ("get", "put", "post", "patch", "delete")
seen = set()  # (operationId, status)


def resolve(node):
    """What a {"$ref": "#/a/b"} stands for."""
    while "$ref" in node:
        path, node = node["$ref"], SPEC
        for part in path.removeprefix("#/").split("/"):
            node = node[part]
    return node


class Operation:
    def __init__(self, method, path, node):
        self.method, self.path, self.id = method, path, node["operationId"]
        self.responses = {status: resolve(r) for status, r in node["responses"].items()}
        pattern = "".join(
            "[^/]+" if piece.startswith("{") else re.escape(piece)
            for piece in re.split(r"(\{[^}]+\})", path))
        self.pattern = re.compile(pattern + "$")
        self.validators = {}

    def documented(self):
        return {int(status) for status in self.responses if status != "default"}

    def response(self, status):
        return self.responses.get(str(status), self.responses["default"])

    def validator(self, status, kind):
        """Of the body of a reply; None where the contract leaves it open."""
        key = str(status) if str(status) in self.responses else "default", kind
        if key not in self.validators:
            content = self.response(status).get("content", {})
            assert kind in content, f"{self.id} {status}: {kind} is not in the contract"
            schema = dict(content[kind].get("schema", {}), components=SPEC["components"])
            self.validators[key] = jsonschema_rs.Draft202012Validator(schema)
        return self.validators[key]


# The longest literal path first: `/items:import` is no `/items/{id}`.
OPERATIONS = sorted(
    (Operation(method, path, node[method])
     for path, node in SPEC["paths"].items() for method in METHODS if method in node),
    key=lambda op: -len(re.sub(r"\{[^}]+\}", "", op.path)))
LINE = jsonschema_rs.Draft202012Validator(
    {"$ref": "#/components/schemas/ImportLine", "components": SPEC["components"]})


def find(method, path):
    method = "get" if method == "HEAD" else method.lower()
    path = path.split("?")[0]
    for op in OPERATIONS:
        if op.method == method and op.pattern.match(path):
            return op
    return None


class Reply:
    """A reply that kept the contract."""

    def __init__(self, status, headers, data):
        self.status, self.headers, self.data = status, headers, data
        self.kind = headers.get("content-type", "").split(";")[0]
        is_json = self.kind in ("application/json", "application/problem+json")
        self.json = json.loads(data) if is_json and data else None

    @property
    def code(self):
        return self.json["code"]

    @property
    def pointer(self):
        """Where in the request the first mistake is; "" for the whole of it."""
        return self.json.get("errors", [{"pointer": ""}])[0]["pointer"]

    def lines(self):
        return [json.loads(line) for line in self.data.splitlines()]


def check(method, path, reply):
    op = find(method, path)
    if op is None:
        # Not in the contract: a problem document all the same.
        assert reply.kind == "application/problem+json", (method, path, reply.status, reply.kind)
        return
    what = f"{method} {path}: {reply.status} {reply.data[:600]}"
    assert reply.status >= 400 or reply.status in op.documented(), what
    if method != "HEAD":
        seen.add((op.id, reply.status))
    if reply.status in (204, 304):
        assert reply.data == b"", what
        return
    if method == "HEAD":
        assert reply.data == b"", what
        return
    if reply.status >= 400:
        assert reply.kind == "application/problem+json", what
        assert reply.json["status"] == reply.status, what
        assert reply.headers.get("x-request-id", reply.json["request_id"]) == \
            reply.json["request_id"], what
    kind = reply.kind
    if kind.startswith("image/") and kind not in op.response(reply.status).get("content", {}):
        kind = "image/*"
    validator = op.validator(reply.status, kind)
    if reply.kind == "application/x-ndjson" and op.id in ("importItems", "importTriples"):
        for line in reply.lines():
            LINE.validate(line)
    elif reply.json is not None:
        errors = [f"{e.instance_path}: {e.message}" for e in validator.iter_errors(reply.json)]
        assert not errors, f"{what}\n{errors[:5]}"


class Client:
    """Requests to one daemon; every reply is checked."""

    def __init__(self, daemon):
        self.daemon = daemon

    def __call__(self, method, path, body=None, kind="application/json", headers=None):
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        headers = dict(headers or {})
        if body is not None and kind is not None:
            headers.setdefault("Content-Type", kind)
        connection = self.daemon.connect()
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            reply = Reply(answer.status,
                          {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()
        check(method, path, reply)
        return reply

    def get(self, path, **more):
        return self("GET", path, **more)

    def put(self, path, body=None, **more):
        return self("PUT", path, body, **more)

    def post(self, path, body=None, **more):
        return self("POST", path, body, **more)

    def patch(self, path, body=None, **more):
        return self("PATCH", path, body, **more)

    def delete(self, path, **more):
        return self("DELETE", path, **more)

    def ndjson(self, path, items, **more):
        return self.post(path, live.ndjson(items), kind="application/x-ndjson", **more)

    def job(self, reply, seconds=120):
        """The job that a 202 promised, once it is over."""
        assert reply.status == 202, reply.data
        job = reply.json["id"]
        assert reply.headers["location"] == f"/v1/jobs/{job}"
        last = []

        def over():
            last[:] = [self.get(f"/v1/jobs/{job}").json]
            return last[0]["state"] in ("done", "failed", "cancelled")

        live.wait_for(over, seconds)
        assert over(), last
        return last[0]


def form(*parts):
    """multipart/form-data of (name, type, file name or None, bytes): body and its type."""
    boundary = "--isthmus-test-boundary"
    body = b""
    for name, kind, filename, data in parts:
        file = f'; filename="{filename}"' if filename else ""
        body += (f"--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n"
                 f"Content-Type: {kind}\r\n\r\n").encode() + data + b"\r\n"
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def missing():
    """(operation, status) pairs of the contract that no test has produced."""
    return sorted((op.id, status) for op in OPERATIONS for status in op.documented()
                  if (op.id, status) not in seen)
