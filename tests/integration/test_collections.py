"""Collections: making, finding, changing, removing."""
import pytest

EXTERNAL = {"image_encoder": {"name": "external", "dim": 4},
            "text_encoder": {"name": "external", "dim": 3}}


def test_made_once(api):
    path = "/v1/collections/made-once"
    first = api.put(path, EXTERNAL)
    assert first.status == 201
    assert first.json["image_encoder"] == {"name": "external", "dim": 4}
    assert first.json["split"] == {"validation": 0.1, "test": 0.2, "seed": 0}
    assert first.json["geometry"] == "auto"
    assert first.json["counts"]["items"] == 0
    assert first.json["active_model"] == "identity"
    again = api.put(path, EXTERNAL)
    assert (again.status, again.json["created_at"]) == (200, first.json["created_at"])
    assert api.put(path).status == 200  # without a body: as it is
    other = api.put(path, {**EXTERNAL, "image_encoder": {"name": "external", "dim": 5}})
    assert (other.status, other.code) == (409, "encoder_mismatch")
    assert api.get(path).json == again.json
    assert api.delete(path).status == 204
    assert api.delete(path).status == 404
    assert api.get(path).status == 404


def test_geometry_is_fixed_at_the_making(api):
    path = "/v1/collections/padded"
    assert api.put(path, {**EXTERNAL, "geometry": "pad"}).json["geometry"] == "pad"
    assert api.put(path, EXTERNAL).json["geometry"] == "pad"
    assert api.get(path).json["geometry"] == "pad"
    other = api.put(path, {**EXTERNAL, "geometry": "crop"})
    assert (other.status, other.code) == (409, "encoder_mismatch")
    assert api.delete(path).status == 204


def test_takes_the_best_encoders(api):
    reply = api.put("/v1/collections/best", {})
    assert reply.status == 201
    known = {(m, e["name"]) for e in api.get("/v1/info").json["encoders"] for m in e["modalities"]}
    assert ("image", reply.json["image_encoder"]["name"]) in known
    assert ("text", reply.json["text_encoder"]["name"]) in known


def test_the_split_changes(api, vectors):
    reply = api.patch(vectors, {"split": {"test": 0.3, "seed": 7}})
    assert reply.json["split"] == {"validation": 0.1, "test": 0.3, "seed": 7}
    reply = api.put(vectors, {**EXTERNAL, "split": {"field": "part"}})
    assert (reply.status, reply.json["split"]) == (200, {"field": "part"})
    assert api.patch(vectors, {}).json["split"] == {"field": "part"}
    assert api.get(vectors).json["split"] == {"field": "part"}


@pytest.mark.parametrize("body, pointer", [
    ([], ""),
    ({"image_encoder": "nonesuch"}, "/image_encoder"),
    ({"image_encoder": {"name": "external"}}, "/image_encoder"),
    ({"image_encoder": {"name": "external", "dim": 0}}, "/image_encoder/dim"),
    ({"image_encoder": "ngrams"}, "/image_encoder"),
    ({"split": {"test": 1}}, "/split/test"),
    ({"geometry": "stretch"}, "/geometry"),
    ({"geometry": "automatic"}, "/geometry"),
    ({"colour": "red"}, "/colour"),
])
def test_refusals(api, body, pointer):
    reply = api.put("/v1/collections/refused", body)
    assert reply.status == 422
    assert reply.pointer.startswith(pointer)
    assert api.get("/v1/collections/refused").status == 404


def test_bodies_and_names(api, vectors):
    assert api.put(vectors, "{").status == 400
    assert api.put(vectors, "x", kind="text/plain").status == 415
    assert api.patch(vectors, "{").status == 400
    assert api.patch(vectors, "{}", kind="text/plain").status == 415
    assert api.patch(vectors, {"split": {"test": -1}}).pointer == "/split/test"
    assert api.patch("/v1/collections/none", {}).status == 404
    for name in ("a%20b", "%2e%2e", "x" * 65, "%ff", "a%00b"):
        assert api.put(f"/v1/collections/{name}", {}).status == 422
    assert api.get(f"{vectors}?x=1").status == 422
    assert api.delete(f"{vectors}?x=1").status == 422


def test_list(api):
    for name in ("list-a", "list-b", "list-c"):
        api.put(f"/v1/collections/{name}", EXTERNAL)
    names, page = [], api.get("/v1/collections?limit=1").json
    while page["next"]:
        names += [c["name"] for c in page["collections"]]
        page = api.get(f"/v1/collections?limit=1&cursor={page['next']}").json
    names += [c["name"] for c in page["collections"]]
    assert names == sorted(set(names)) and {"list-a", "list-b", "list-c"} <= set(names)
    assert api.get("/v1/collections?limit=x").status == 422


def test_facets(api, vectors):
    """Fields by name, their values by how often, numbers with their range."""
    assert api.get(f"{vectors}/facets").json == {"facets": []}
    api.ndjson(f"{vectors}/items:import", [
        {"id": f"i{i}", "label": "odd" if i % 2 else "even", "vectors": {"image": [1, 2, 3, i + 1]},
         "metadata": {"year": 2000 + i % 3, "size": 0.5 * i, "sale": i == 0, "tags": ["a", f"t{i}"],
                      "maker": {"name": "x"}}} for i in range(5)])
    facets = {f["field"]: f for f in api.get(f"{vectors}/facets").json["facets"]}
    assert list(facets) == sorted(facets)
    assert facets["label"]["values"] == [{"value": "even", "count": 3},
                                         {"value": "odd", "count": 2}]
    assert facets["label"]["min"] is facets["label"]["max"] is None
    year = facets["metadata.year"]
    assert year["values"] == [{"value": 2000, "count": 2}, {"value": 2001, "count": 2},
                              {"value": 2002, "count": 1}]
    assert (year["items"], year["min"], year["max"], year["more"]) == (5, 2000, 2002, False)
    assert (facets["metadata.size"]["min"], facets["metadata.size"]["max"]) == (0, 2)
    assert facets["metadata.sale"]["values"] == [{"value": False, "count": 4},
                                                 {"value": True, "count": 1}]
    assert facets["metadata.tags"]["values"][0] == {"value": "a", "count": 5}
    assert facets["metadata.maker.name"]["values"] == [{"value": "x", "count": 5}]
    two = {f["field"]: f for f in api.get(f"{vectors}/facets?limit=2").json["facets"]}
    assert len(two["metadata.tags"]["values"]) == 2 and two["metadata.tags"]["more"]
    assert api.delete(f"{vectors}/items/i4").status == 204
    assert api.patch(f"{vectors}/items/i0", {"label": None}).status == 200
    facets = {f["field"]: f for f in api.get(f"{vectors}/facets").json["facets"]}
    assert facets["label"]["values"] == [{"value": "odd", "count": 2},
                                         {"value": "even", "count": 1}]
    assert facets["metadata.size"]["max"] == 1.5
    assert api.get(f"{vectors}/facets?limit=0").status == 422
    assert api.get("/v1/collections/none/facets").status == 404
