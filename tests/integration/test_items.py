"""Items one by one: put, get, patch, delete, their pictures and the list."""
import base64
import struct

import pytest

from conftest import picture
from contract import form


def encoded(name):
    return {"base64": base64.b64encode(picture(name)).decode()}


def test_put_is_whole(api, vectors):
    path = f"{vectors}/items/seal"
    item = {"texts": ["A seal."], "label": "animals", "metadata": {"year": 2004},
            "vectors": {"image": [1, 0, 0, 0], "texts": [[0, 1, 0]]}}
    made = api.put(path, item)
    assert made.status == 201
    assert made.json["id"] == "seal" and made.json["image"] is None
    assert (made.json["texts"], made.json["label"]) == (["A seal."], "animals")
    assert api.put(path, item).status == 200
    read = api.get(path).json
    assert read["created_at"] == made.json["created_at"]
    assert read["vectors"] == {"image": [1, 0, 0, 0], "texts": [[0, 1, 0]]}
    assert "vectors" not in api.get(f"{path}?vectors=false").json
    assert api.put(path, read).status == 200  # what was read can be written back
    less = api.put(path, {"vectors": {"image": [1, 0, 0, 0]}}).json
    assert (less["texts"], less["label"]) == ([], None)
    assert api.delete(path).status == 204
    assert api.delete(path).status == 404
    assert api.get(path).status == 404


def test_visible_at_once(api, vectors):
    for i in range(20):
        api.put(f"{vectors}/items/x", {"vectors": {"image": [i + 1, 1, 0, 0]}})
        hits = api.post(f"{vectors}/query", {
            "query": {"vector": [i + 1, 1, 0, 0], "modality": "image"}}).json["hits"]
        assert [h["id"] for h in hits] == ["x"] and hits[0]["similarity"] > 0.999
    api.delete(f"{vectors}/items/x")
    reply = api.post(f"{vectors}/query", {"query": {"vector": [1, 1, 0, 0], "modality": "image"}})
    assert reply.json["hits"] == []


@pytest.mark.parametrize("name", ["a b", "ä/ö?#", "%41", "a+b", "...", "名前", "x" * 255, "a:import"])
def test_ids_are_the_clients(api, vectors, name):
    from urllib.parse import quote
    path = f"{vectors}/items/{quote(name, safe='')}"
    assert api.put(path, {"vectors": {"image": [1, 0, 0, 0]}}).json["id"] == name
    assert api.get(path).json["id"] == name
    assert api.delete(path).status == 204


@pytest.mark.parametrize("name", ["%00", "a%0Ab", ".", "..", "%2e", "%ff", "%zz", "x" * 256])
def test_ids_that_are_none(api, vectors, name):
    path = f"{vectors}/items/{name}"
    assert api.put(path, {"vectors": {"image": [1, 0, 0, 0]}}).status == 422
    assert api.get(path).status == 422


def test_patch(api, vectors):
    path = f"{vectors}/items/p"
    api.put(path, {"texts": ["one"], "label": "l", "metadata": {"a": 1, "b": {"c": 2, "d": 3}},
                   "vectors": {"image": [1, 0, 0, 0], "texts": [[1, 0, 0]]}})
    patched = api.patch(path, {"metadata": {"a": None, "b": {"c": 5}}, "label": None}).json
    assert (patched["metadata"], patched["label"]) == ({"b": {"c": 5, "d": 3}}, None)
    assert patched["texts"] == ["one"]
    # A new text has no vector, and this encoder makes none.
    assert api.patch(path, {"texts": ["two"]}).code == "vector_required"
    both = api.patch(path, {"texts": ["two"], "vectors": {"image": [1, 0, 0, 0],
                                                           "texts": [[0, 0, 1]]}})
    assert both.json["texts"] == ["two"]
    assert api.patch(path, {"texts": None, "vectors": None}).status == 422  # nothing would be left
    assert api.patch(f"{vectors}/items/none", {"label": "x"}).status == 404
    assert api.patch(path, "{").status == 400
    assert api.patch(path, "x", kind="text/plain").status == 415
    assert api.patch(path, {"id": "q"}).status == 422


@pytest.mark.parametrize("item, code", [
    ({}, "invalid"),
    ({"texts": []}, "invalid"),
    ({"texts": "a"}, "invalid"),
    ({"texts": ["a"]}, "vector_required"),
    ({"image": {"base64": "?"}}, "invalid"),
    ({"image": {}}, "invalid"),
    ({"vectors": {"image": [1, 0, 0]}}, "dim_mismatch"),
    ({"vectors": {"image": [0, 0, 0, 0]}}, "invalid"),
    ({"vectors": {"image": [1, 1e39, 0, 0]}}, "invalid"),
    ({"vectors": {"texts": [[1, 0, 0]]}, "texts": ["a", "b"]}, "invalid"),
    ({"vectors": {"image": [1, 0, 0, 0]}, "label": 3}, "invalid"),
    ({"vectors": {"image": [1, 0, 0, 0]}, "metadata": [1]}, "invalid"),
    ({"vectors": {"image": [1, 0, 0, 0]}, "colour": "red"}, "invalid"),
    ({"vectors": {"image": [1, 0, 0, 0]}, "id": "other"}, "invalid"),
])
def test_refusals(api, vectors, item, code):
    reply = api.put(f"{vectors}/items/bad", item)
    assert (reply.status, reply.code) == (422, code)
    assert api.get(f"{vectors}/items/bad").status == 404


def test_bodies(api, vectors):
    path = f"{vectors}/items/x"
    assert api.put(path, "{").status == 400
    assert api.put(path, "x", kind="text/plain").status == 415
    assert api.put("/v1/collections/none/items/x", {"texts": ["a"]}).status == 404
    assert api.delete(f"{path}?x=1").status == 422
    assert api.put(path, {"image": {"sha256": "0" * 64}}).status == 404


def test_pictures(api, collection):
    path = f"{collection}/items/photo"
    file = picture("444.jpg")
    body, kind = form(("image", "image/jpeg", "444.jpg", file),
                      ("item", "application/json", None, b'{"texts": ["a photo"]}'))
    made = api.put(path, body, kind=kind)
    assert made.status == 201
    image = made.json["image"]
    assert (image["type"], image["bytes"]) == ("image/jpeg", len(file))
    # The same picture by its hash, for another item.
    twin = api.put(f"{collection}/items/twin", {"image": {"sha256": image["sha256"]}})
    assert (twin.status, twin.json["image"]) == (201, image)

    whole = api.get(f"{path}/image")
    assert (whole.status, whole.data, whole.kind) == (200, file, "image/jpeg")
    etag = whole.headers["etag"]
    assert api.get(f"{path}/image", headers={"If-None-Match": etag}).status == 304
    part = api.get(f"{path}/image", headers={"Range": "bytes=10-19"})
    assert (part.status, part.data) == (206, file[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(file)}"
    assert api.get(f"{path}/image", headers={"Range": "bytes=99999999-"}).status == 416
    head = api("HEAD", f"{path}/image")
    assert int(head.headers["content-length"]) == len(file)
    small = api.get(f"{path}/image?size=16")
    assert small.status == 200 and 0 < len(small.data) < len(file)
    assert api.get(f"{path}/image?size=1").status == 422
    assert api.get(f"{collection}/items/none/image").status == 404
    api.put(f"{collection}/items/words", {"texts": ["no picture"]})
    assert api.get(f"{collection}/items/words/image").status == 404


@pytest.mark.parametrize("name", ["420.jpg", "cmyk.jpg", "alpha.webp", "animated.gif", "exif6.png",
                                  "cmyk.tif"])
def test_kinds_of_pictures(api, collection, name):
    reply = api.put(f"{collection}/items/x", {"image": encoded(name)})
    assert reply.status == 201
    assert reply.json["image"]["width"] > 0


def test_pictures_that_cannot_be_taken(api, collection):
    path = f"{collection}/items/x"
    reply = api.put(path, {"image": {"base64": base64.b64encode(b"nothing").decode()}})
    assert (reply.status, reply.code) == (422, "image_undecodable")
    reply = api.put(path, {"image": encoded("bomb.png")})
    assert (reply.status, reply.code) == (413, "image_too_large")
    assert api.get(path).status == 404
    api.put(path, {"texts": ["words"]})
    assert api.patch(path, {"image": encoded("bomb.png")}).status == 413
    assert api.get(path).json["image"] is None


def test_texts_are_encoded(api, collection):
    for i, text in enumerate(["a seal on the ice", "ein Seehund", "アザラシ", "a red apple"]):
        assert api.put(f"{collection}/items/{i}", {"texts": [text]}).status == 201
    hits = api.get(f"{collection}/query?text=seals+on+ice&limit=1").json["hits"]
    assert hits[0]["texts"] == ["a seal on the ice"]


def test_vectors_as_base64(api, vectors):
    packed = base64.b64encode(struct.pack("<4f", 0.5, 0, 0, 0.25)).decode()
    api.put(f"{vectors}/items/x", {"vectors": {"image": {"base64": packed}}})
    assert api.get(f"{vectors}/items/x").json["vectors"]["image"] == [0.5, 0, 0, 0.25]


def test_list(api, vectors):
    api.ndjson(f"{vectors}/items:import", [
        {"id": f"i{i:02}", "label": "even" if i % 2 == 0 else "odd",
         "vectors": {"image": [1, i, 0, 0]}} for i in range(25)])
    page = api.get(f"{vectors}/items?limit=10").json
    assert [item["id"] for item in page["items"]] == [f"i{i:02}" for i in range(10)]
    page = api.get(f"{vectors}/items?limit=20&cursor={page['next']}").json
    assert (len(page["items"]), page["next"]) == (15, None)
    odd = api.get(f"{vectors}/items?filter=label%3Dodd").json["items"]
    assert len(odd) == 12
    assert "vectors" in api.get(f"{vectors}/items?limit=1&vectors=true").json["items"][0]
    assert api.get(f"{vectors}/items?filter=label%3D").status == 422
    assert api.get("/v1/collections/none/items").status == 404


def test_delete_many(api, vectors):
    api.ndjson(f"{vectors}/items:import", [
        {"id": f"i{i}", "label": f"l{i % 3}", "vectors": {"image": [1, i, 0, 0]}}
        for i in range(9)])
    path = f"{vectors}/items:delete"
    dry = api.post(path, {"filter": {"eq": {"label": "l1"}}, "dry_run": True}).json
    assert dry == {"matched": 3, "deleted": 0}
    assert api.post(path, {"filter": {"eq": {"label": "l1"}}}).json == \
        {"matched": 3, "deleted": 3}
    assert api.post(path, {"ids": ["i0", "i1", "nobody"]}).json == {"matched": 1, "deleted": 1}
    assert api.get(vectors).json["counts"]["items"] == 5
    for body in ({}, {"filter": {}}, {"filter": {"all": []}}, {"ids": "i0"},
                 {"ids": ["a"], "filter": {"eq": {"label": "x"}}}):
        assert api.post(path, body).status == 422
    assert api.post(path, "{").status == 400
    assert api.post(path, "x", kind="text/plain").status == 415
    assert api.post("/v1/collections/none/items:delete", {"ids": ["a"]}).status == 404
