"""Queries in all their forms, what they find and what they refuse."""
import base64
import json
import struct
import urllib.parse

import pytest

from conftest import picture
from contract import form


def ids(reply):
    return [hit["id"] for hit in reply.json["hits"]]


def as_base64(numbers):
    return {"base64": base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()}


def query(api, path, source, **more):
    return api.post(f"{path}/query", {"query": source, **more})


def load(api, path):
    api.ndjson(f"{path}/items:import", [
        {"id": "a", "vectors": {"image": [1, 0, 0, 0], "texts": [[1, 0, 0]]}, "texts": ["an a"],
         "label": "vowel", "metadata": {"n": 1, "tags": ["x", "y"]}},
        {"id": "b", "vectors": {"image": [0.9, 0.1, 0, 0], "texts": [[0, 1, 0], [0.8, 0.2, 0]]},
         "texts": ["a b", "bee"], "label": "consonant", "metadata": {"n": 2}},
        {"id": "c", "vectors": {"image": [0, 1, 0, 0]}, "label": "consonant"},
        {"id": "d", "vectors": {"texts": [[0, 0, 1]]}, "texts": ["a d"], "metadata": {"n": "4"}},
    ])


def test_by_vector(api, vectors):
    load(api, vectors)
    reply = query(api, vectors, {"vector": [1, 0, 0, 0], "modality": "image"})
    assert reply.status == 200
    assert ids(reply) == ["a", "b", "c"]
    first = reply.json["hits"][0]
    assert first == {"id": "a", "modality": "image", "text": None, "similarity": 1, "score": None,
                     "texts": ["an a"], "label": "vowel", "metadata": {"n": 1, "tags": ["x", "y"]}}
    assert reply.json["searched"] == ["image"]
    assert (reply.json["model"], reply.json["space"]) == ("identity", "feature")
    same = query(api, vectors, {"vector": as_base64([1, 0, 0, 0]), "modality": "image"})
    assert same.json["hits"] == reply.json["hits"]


def test_by_the_picture_of_an_item(api, vectors):
    load(api, vectors)
    of_id = query(api, vectors, {"id": "b", "modality": "image"})
    reply = query(api, vectors, {"image": {"id": "b"}})
    assert ids(reply) == ["a", "c"] and reply.json["hits"] == of_id.json["hits"]
    assert query(api, vectors, {"image": {"id": "nobody"}}).status == 404
    reply = query(api, vectors, {"image": {"id": "d"}})
    assert (reply.status, reply.pointer) == (422, "/query/image/id")


def test_says_which_text_matched_and_each_item_once(api, vectors):
    load(api, vectors)
    reply = query(api, vectors, {"vector": [0.8, 0.2, 0], "modality": "text"}, target="text")
    assert [(h["id"], h["text"]) for h in reply.json["hits"]] == [("b", 1), ("a", 0), ("d", 0)]


def test_limit_offset_and_what_is_left(api, vectors):
    load(api, vectors)
    source = {"vector": [1, 0, 0, 0], "modality": "image"}
    assert ids(query(api, vectors, source, limit=2)) == ["a", "b"]
    assert ids(query(api, vectors, source, limit=2, offset=1)) == ["b", "c"]
    assert ids(query(api, vectors, source, limit=5, offset=3)) == []
    assert ids(query(api, vectors, source, min_similarity=0.5)) == ["a", "b"]
    assert ids(query(api, vectors, source, exact=True, limit=1)) == ["a"]


def test_returns_what_is_asked_for(api, vectors):
    load(api, vectors)
    source = {"vector": [1, 0, 0, 0], "modality": "image"}
    hit = query(api, vectors, source, **{"return": ["vector"]}).json["hits"][0]
    assert set(hit) == {"id", "modality", "text", "similarity", "score", "vector"}
    assert hit["vector"] == [1, 0, 0, 0]
    hit = query(api, vectors, source, **{"return": []}).json["hits"][0]
    assert set(hit) == {"id", "modality", "text", "similarity", "score"}
    assert query(api, vectors, source, explain=True).json["explain"]["path"]


def test_by_item(api, vectors):
    load(api, vectors)
    assert ids(query(api, vectors, {"id": "a"})) == ["b", "c"]
    assert ids(query(api, vectors, {"id": "a", "modality": "text"}, target="text")) == ["b", "d"]
    assert ids(query(api, vectors, {"id": "d"}, exact=True)) == ["a", "b"]
    refused = query(api, vectors, {"id": "d", "modality": "image"})
    assert (refused.status, refused.pointer) == (422, "/query/modality")
    unknown = query(api, vectors, {"id": "nobody"})
    assert (unknown.status, unknown.pointer) == (404, "/query/id")


def test_ties_go_by_id(api, vectors):
    api.ndjson(f"{vectors}/items:import", [
        {"id": i, "vectors": {"image": [1, 1, 0, 0]}} for i in ("m", "k", "z", "b")])
    reply = query(api, vectors, {"vector": [1, 1, 0, 0], "modality": "image"}, limit=3)
    assert ids(reply) == ["b", "k", "m"]


@pytest.mark.parametrize("filter_, want", [
    ({"eq": {"label": "consonant"}}, ["b", "c"]),
    ({"ne": {"label": "vowel"}}, ["b", "c"]),
    ({"in": {"id": ["a", "c", "nobody"]}}, ["a", "c"]),
    ({"gte": {"metadata.n": 2}}, ["b"]),
    ({"lt": {"metadata.n": 2}}, ["a"]),
    ({"eq": {"metadata.tags": "y"}}, ["a"]),
    ({"exists": "metadata.n"}, ["a", "b"]),
    ({"not": {"exists": "metadata.n"}}, ["c"]),
    ({"prefix": {"label": "vow"}}, ["a"]),
    ({"eq": {"has": "text"}}, ["a", "b"]),
    ({"all": [{"eq": {"label": "consonant"}}, {"eq": {"has": "text"}}]}, ["b"]),
    ({"any": [{"eq": {"id": "c"}}, {"gt": {"metadata.n": 1}}]}, ["b", "c"]),
    ({"all": []}, ["a", "b", "c"]),
    ({"any": []}, []),
])
def test_filters(api, vectors, filter_, want):
    load(api, vectors)
    reply = query(api, vectors, {"vector": [1, 0, 0, 0], "modality": "image"}, filter=filter_)
    assert ids(reply) == want


@pytest.mark.parametrize("filter_", [
    {}, {"like": {"label": "a"}}, {"eq": {"colour": "red"}}, {"eq": {"label": "a", "id": "b"}},
    {"eq": {"label": None}}, {"in": {"id": "a"}}, {"all": {}}, {"gt": {"label": [1]}},
    {"exists": 3}, {"eq": {"label": "a"}, "ne": {"label": "b"}}])
def test_bad_filters(api, vectors, filter_):
    reply = query(api, vectors, {"vector": [1, 0, 0, 0], "modality": "image"}, filter=filter_)
    if filter_ == {}:
        assert reply.status in (200, 422)
    else:
        assert reply.status == 422
        assert reply.pointer.startswith("/filter")


def test_a_filter_that_is_too_deep(api, vectors):
    filter_ = {"eq": {"label": "a"}}
    for _ in range(20):
        filter_ = {"not": filter_}
    reply = query(api, vectors, {"vector": [1, 0, 0, 0], "modality": "image"}, filter=filter_)
    assert (reply.status, reply.code) == (422, "invalid")


def test_by_address(api, vectors):
    load(api, vectors)
    short = urllib.parse.quote("label=consonant and has=text")
    reply = api.get(f"{vectors}/query?id=a&target=image&limit=5&filter={short}&return=label")
    assert reply.status == 200
    assert [(h["id"], h["label"]) for h in reply.json["hits"]] == [("b", "consonant")]
    assert api.get(f"{vectors}/query?id=nobody").status == 404
    assert api.get(f"{vectors}/query?id=a&limit=many").pointer == "/limit"
    assert api.get(f"{vectors}/query?id=a&filter=label%3D%3D").status == 422
    assert api.get(f"{vectors}/query?id=a&target=text").status == 409
    assert api.get(f"{vectors}/query?id=a&nonsense=1").status == 422
    assert api.get("/v1/collections/none/query?id=a").status == 404


def test_nothing_reaches_across_before_a_training(api, vectors):
    load(api, vectors)
    reply = query(api, vectors, {"id": "a"}, target="text")
    assert (reply.status, reply.code) == (409, "no_model")
    assert "trainings" in reply.json["detail"]
    reply = query(api, vectors, {"vector": [1, 0, 0, 0], "modality": "common"})
    assert (reply.status, reply.code) == (409, "no_model")
    reply = query(api, vectors, {"compose": {"image": {"id": "a"}, "text": "in red"}})
    assert (reply.status, reply.code) == (409, "no_model")


def test_external_encoders_want_vectors(api, vectors):
    reply = query(api, vectors, {"text": "a seal"})
    assert (reply.status, reply.code) == (422, "vector_required")
    encoded = base64.b64encode(picture("444.jpg")).decode()
    reply = query(api, vectors, {"image": {"base64": encoded}})
    assert (reply.status, reply.code) == (422, "vector_required")
    reply = query(api, vectors, {"vector": [1, 2], "modality": "image"})
    assert (reply.status, reply.code, reply.pointer) == (422, "dim_mismatch", "/query/vector")


@pytest.mark.parametrize("body, pointer", [
    ({}, "/query"),
    ({"query": {}}, "/query"),
    ({"query": {"text": "a", "id": "b"}}, "/query"),
    ({"query": {"text": ""}}, "/query/text"),
    ({"query": {"words": "a"}}, "/query/words"),
    ({"query": {"vector": [1, "x", 0, 0], "modality": "image"}}, "/query/vector/1"),
    ({"query": {"vector": [0, 0, 0, 0], "modality": "image"}}, "/query/vector"),
    ({"query": {"vector": {"base64": "??"}, "modality": "image"}}, "/query/vector/base64"),
    ({"query": {"id": "a"}, "limit": 0}, "/limit"),
    ({"query": {"id": "a"}, "limit": 1001}, "/limit"),
    ({"query": {"id": "a"}, "offset": 10000}, "/offset"),
    ({"query": {"id": "a"}, "target": "sound"}, "/target"),
    ({"query": {"id": "a"}, "threshold": 2}, "/threshold"),
    ({"query": {"id": "a"}, "threshold": 0.5}, "/threshold"),
    ({"query": {"id": "a"}, "return": ["everything"]}, "/return/0"),
    ({"query": {"id": "a"}, "page": 2}, "/page"),
])
def test_refusals_name_the_place(api, vectors, body, pointer):
    load(api, vectors)
    reply = api.post(f"{vectors}/query", body)
    assert (reply.status, reply.code, reply.pointer) == (422, "invalid", pointer)


def test_bodies_that_are_no_queries(api, vectors):
    path = f"{vectors}/query"
    assert api.post(path, "{\"query\":").code == "bad_json"
    assert api.post(path, "{\"query\": {}, \"query\": {}}").code == "bad_json"
    assert api.post(path, "[]").status == 422
    assert api.post(path, "x", kind="text/plain").status == 415
    assert api.post("/v1/collections/none/query", {"query": {"text": "a"}}).status == 404
    assert query(api, vectors, {"id": "a"}, model="m_99").status == 404


def test_by_text_and_picture(api, stamps):
    reply = query(api, stamps, {"text": "a seal on the ice"}, limit=3)
    assert reply.json["searched"] == ["text"]
    assert all("seal" in hit["texts"][0] for hit in reply.json["hits"])
    first = api.get(f"{stamps}/items/owl/image")
    encoded = base64.b64encode(first.data).decode()
    by_json = query(api, stamps, {"image": {"base64": encoded}}, limit=3)
    assert "owl" in ids(by_json)  # there are others of the very same picture
    assert by_json.json["hits"][0]["similarity"] == pytest.approx(1, abs=1e-5)
    body, kind = form(("request", "application/json", None, b'{"limit": 3}'),
                      ("image", "image/png", "owl.png", first.data))
    by_parts = api.post(f"{stamps}/query", body, kind=kind)
    assert by_parts.json["hits"] == by_json.json["hits"]
    body, kind = form(("image", "image/png", "owl.png", first.data))
    assert len(ids(api.post(f"{stamps}/query", body, kind=kind))) == 10


def test_parts_that_do_not_fit(api, stamps):
    file = ("image", "image/png", "x.png", picture("exif3.png"))
    for parts, status in [
            ([("request", "application/json", None, b"{}")], 422),
            ([file, file], 400),
            ([file, ("more", "text/plain", None, b"x")], 422),
            ([file, ("request", "application/json", None, b"{")], 400),
            ([file, ("request", "application/json", None, b'{"query": {"text": "a"}}')], 422),
            ([("image", "image/png", "x.png", b"")], 422)]:
        body, kind = form(*parts)
        assert api.post(f"{stamps}/query", body, kind=kind).status == status


def test_pictures_that_cannot_be_taken(api, stamps):
    broken = base64.b64encode(b"no picture at all").decode()
    reply = query(api, stamps, {"image": {"base64": broken}})
    assert (reply.status, reply.code) == (422, "image_undecodable")
    bomb = base64.b64encode(picture("bomb.png")).decode()
    reply = query(api, stamps, {"image": {"base64": bomb}})
    assert (reply.status, reply.code) == (413, "image_too_large")


def test_batch(api, vectors):
    load(api, vectors)
    reply = api.post(f"{vectors}/query:batch", {"queries": [
        {"query": {"id": "a"}, "limit": 1}, {"query": {"id": "nobody"}},
        {"query": {"id": "a"}, "limit": 0}, 7]})
    assert reply.status == 200
    first, unknown, invalid, number = reply.json["results"]
    assert [hit["id"] for hit in first["hits"]] == ["b"]
    assert unknown["code"] == "not_found"
    assert invalid["errors"][0]["pointer"] == "/queries/2/limit"
    assert number["errors"][0]["pointer"] == "/queries/3"
    assert api.post(f"{vectors}/query:batch", {"queries": []}).status == 422
    assert api.post(f"{vectors}/query:batch", {"queries": [{}] * 101}).status == 422
    assert api.post(f"{vectors}/query:batch", "{").status == 400
    assert api.post(f"{vectors}/query:batch", "{}", kind="text/csv").status == 415
    assert api.post("/v1/collections/none/query:batch",
                    {"queries": [{"query": {"id": "a"}}]}).status == 404


def test_across_after_a_training(api, trained):
    path, model = trained
    reply = query(api, path, {"id": "i7"}, target="text", limit=5)
    assert (reply.json["model"], reply.json["space"]) == (model, "common")
    assert {hit["label"] for hit in reply.json["hits"]} == {"class 2"}
    assert all(0 <= hit["score"] <= 1 for hit in reply.json["hits"])
    assert "i7" not in ids(reply)
    either = query(api, path, {"id": "i7"}, limit=50)
    assert either.json["searched"] == ["image", "text"]
    assert len(set(ids(either))) == 50
    scores = [hit["score"] for hit in either.json["hits"]]
    assert scores == sorted(scores, reverse=True)
    sure = query(api, path, {"id": "i7"}, target="text", limit=100, threshold=0.5)
    assert all(hit["score"] >= 0.5 for hit in sure.json["hits"])
    old = query(api, path, {"id": "i7"}, model="identity")
    assert (old.json["model"], old.json["searched"]) == ("identity", ["image"])


def test_a_ready_embedding_finds_what_its_text_finds(api, trained):
    path, model = trained
    feature = json.loads(api.get(f"{path}/items/i3?vectors=true").data)["vectors"]["texts"][0]
    made = api.post(f"{path}/embed", {"inputs": [{"vector": feature, "modality": "text"}]})
    ready = query(api, path, {"vector": made.json["vectors"][0]}, target="image", limit=5)
    by_text = query(api, path, {"vector": feature, "modality": "text"}, target="image", limit=5)
    assert ids(ready) == ids(by_text)
