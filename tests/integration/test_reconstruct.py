"""What a model imagines: a feature of one modality out of the other, and its neighbours."""
import pytest

from conftest import pairs


@pytest.fixture(scope="module")
def imagining(api):
    """300 pairs of vectors in five classes and a CM-GANs model of them, not active."""
    path = "/v1/collections/imagining"
    assert api.put(path, {"image_encoder": {"name": "external", "dim": 12},
                          "text_encoder": {"name": "external", "dim": 8}}).status == 201
    api.ndjson(f"{path}/items:import", pairs(300))
    job = api.job(api.post(f"{path}/trainings", {
        "method": "cmgan", "params": {"epochs": 60, "code": 32, "reconstruction": 0.1},
        "seed": 1, "activate": "never"}))
    assert job["state"] == "done", job
    return path, job["result"]["model"]


def items_of(n):
    return {item["id"]: item for item in pairs(n)}


def squared(a, b):
    return sum((x - y) ** 2 for x, y in zip(a, b))


def test_a_text_calls_up_pictures_of_its_class(api, imagining):
    path, model = imagining
    items = items_of(300)
    right = nearer = n = 0
    for name in ("i0", "i1", "i2", "i3", "i4", "i11", "i23", "i37", "i48", "i59"):
        item = items[name]
        reply = api.post(f"{path}/models/{model}:reconstruct", {
            "vector": item["vectors"]["texts"][0], "modality": "text", "limit": 5})
        assert reply.status == 200
        assert reply.json["model"] == model and reply.json["modality"] == "image"
        assert len(reply.json["vector"]) == 12 and len(reply.json["nearest"]) == 5
        assert {hit["modality"] for hit in reply.json["nearest"]} == {"image"}
        right += sum(hit["label"] == item["label"] for hit in reply.json["nearest"])
        n += 5
        # nearer to the item's own picture than to one of another class
        other = next(x for x in items.values() if x["label"] != item["label"])
        nearer += (squared(reply.json["vector"], item["vectors"]["image"]) <
                   squared(reply.json["vector"], other["vectors"]["image"]))
    assert right >= .8 * n and nearer >= 9


def test_the_same_modality_and_other_sources(api, imagining):
    path, model = imagining
    url = f"{path}/models/{model}:reconstruct"
    of_id = api.post(url, {"id": "i7", "modality": "text", "target": "text"})
    assert of_id.status == 200
    assert of_id.json["modality"] == "text" and len(of_id.json["vector"]) == 8
    assert {hit["modality"] for hit in of_id.json["nearest"]} == {"text"}
    assert len(of_id.json["nearest"]) == 10
    of_picture = api.post(url, {"image": {"id": "i7"}})
    assert of_picture.json == api.post(url, {"id": "i7"}).json
    assert of_picture.json["modality"] == "text"
    vector = items_of(8)["i7"]["vectors"]["texts"][0]
    assert api.post(url, {"vector": vector, "modality": "text", "target": "text",
                          "limit": 0}).json == {**of_id.json, "nearest": []}


def test_refused(api, imagining, trained):
    path, model = imagining
    url = f"{path}/models/{model}:reconstruct"
    for body, pointer in [([], ""), ({}, ""), ({"id": "i0", "limit": 101}, "/limit"),
                          ({"id": "i0", "target": "any"}, "/target"), ({"x": 1}, "/x"),
                          ({"compose": {"image": {"id": "i0"}, "text": "red"}}, "/compose"),
                          ({"vector": [1], "modality": "text"}, "/vector"),
                          ({"vector": [1] * 32}, "/modality")]:
        reply = api.post(url, body)
        assert (reply.status, reply.pointer or "") == (422, pointer), body
    assert api.post(url, {"id": "nobody"}).status == 404
    assert api.post(url, {"text": "a"}).status == 422  # the encoder is external
    assert api.post(url, "{").status == 400
    assert api.post(url, "x", kind="text/plain").status == 415
    assert api.post(f"{path}/models/m_999:reconstruct", {"id": "i0"}).status == 404
    other, acmr = trained
    reply = api.post(f"{other}/models/{acmr}:reconstruct", {"id": "i0"})
    assert (reply.status, reply.code) == (409, "no_model")
    assert "cmgan" in reply.json["detail"]
