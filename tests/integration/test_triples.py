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


def test_listed_as_they_came_and_of_an_item(api, collection):
    api.ndjson(f"{collection}/items:import", [{"id": i, "texts": [i]} for i in "abc"])
    triples = [{"reference": r, "text": text, "target": t} for r, text, t in
               (("a", "in \"red\"", "b"), ("b", "in blue", "c"), ("c", "alone", "c"),
                ("c", "in red", "a"))]
    reply = api.ndjson(f"{collection}/triples:import", triples)
    assert reply.lines()[-1]["summary"]["created"] == 4
    path = f"{collection}/triples"
    assert api.get(path).json == {"triples": triples, "next": None}
    assert api.get(f"{path}?item=a").json["triples"] == [triples[0], triples[3]]
    assert api.get(f"{path}?item=c").json["triples"] == triples[1:]
    assert api.get(f"{path}?item=nobody").json == {"triples": [], "next": None}
    assert api.get(f"{path}?item=a%01").pointer == "/item"
    for item, all_of in (("", triples), ("&item=c", triples[1:])):
        first = api.get(f"{path}?limit=2{item}").json
        rest = api.get(f"{path}?limit=2{item}&cursor={first['next']}").json
        assert first["triples"] + rest["triples"] == all_of and rest["next"] is None
    assert api.get(f"{path}?cursor=x").status == 422
    assert api.get(f"{path}?limit=0").status == 422
    assert api.get("/v1/collections/none/triples").status == 404


def test_refusals(api, collection):
    path = f"{collection}/triples:import"
    assert api.post(path, "{}", kind="application/json").status == 415
    assert api.post(f"{path}?results=some", "", kind="application/x-ndjson").status == 422
    assert api.post("/v1/collections/none/triples:import", "",
                    kind="application/x-ndjson").status == 404
