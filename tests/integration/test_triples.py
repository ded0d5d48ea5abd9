"""Triples for composed retrieval, as a stream."""


def test_lines_in_order(api, collection):
    api.ndjson(f"{collection}/items:import", [{"id": i, "texts": [i]} for i in ("a", "b")])
    body = (b'{"reference": "a", "text": "in red", "target": "b"}\n\n'
            b'{"reference": "a", "text": "in red", "target": "b"}\n'
            b'{"reference": "a", "text": "in red", "target": "nobody"}\n'
            b'{"reference": "a", "target": "b"}\n'
            b'{"reference": 7\n'
            b'{"reference": "b", "text": "in blue", "target": "a"}')
    reply = api.post(f"{collection}/triples:import", body, kind="application/x-ndjson")
    assert reply.status == 200
    lines = reply.lines()
    assert [line.get("line") for line in lines[:-1]] == [1, 3, 4, 5, 6, 7]
    assert [line["status"] for line in lines[:-1]] == \
        ["created", "unchanged", "failed", "failed", "failed", "created"]
    assert [line.get("code") for line in lines[2:5]] == ["not_found", "invalid", "bad_json"]
    assert lines[3]["id"] == "a" and lines[3]["detail"].startswith("/text: ")
    assert lines[-1] == {"summary": {"created": 2, "updated": 0, "unchanged": 1, "failed": 3}}
    assert api.get(collection).json["counts"]["triples"] == 2
    failed = api.post(f"{collection}/triples:import?results=failed", body,
                      kind="application/x-ndjson")
    assert len(failed.lines()) == 4
    api.delete(f"{collection}/items/a")
    assert api.get(collection).json["counts"]["triples"] == 0


def test_refusals(api, collection):
    path = f"{collection}/triples:import"
    assert api.post(path, "{}", kind="application/json").status == 415
    assert api.post(f"{path}?results=some", "", kind="application/x-ndjson").status == 422
    assert api.post("/v1/collections/none/triples:import", "",
                    kind="application/x-ndjson").status == 404
