"""Models: activating, going back, measuring again, taking away."""
import contract
import live

from conftest import pairs


def train(api, path, **body):
    job = api.job(api.post(f"{path}/trainings", {
        "method": "linear", "activate": "never", **body}))
    assert job["state"] == "done", job
    return job["result"]["model"]


def active(api, path):
    return [m["id"] for m in api.get(f"{path}/models").json["models"] if m["active"]]


def test_swapping_and_going_back(api, vectors):
    path = vectors
    api.ndjson(f"{path}/items:import", pairs(120, 4, 3, 3))
    first, second = train(api, path, seed=1), train(api, path, seed=2)
    assert active(api, path) == ["identity"]
    for model in (first, second):
        reply = api.post(f"{path}/models/{model}:activate")
        assert (reply.status, reply.json["id"], reply.json["active"]) == (200, model, True)
        assert active(api, path) == [model]
    assert api.post(f"{path}/models/{second}:activate").status == 200  # it is already
    reply = api.post(f"{path}/models:rollback")
    assert (reply.status, reply.json["id"]) == (200, first)
    assert api.post(f"{path}/models/{second}:rollback").status == 409  # not active
    assert api.post(f"{path}/models/{first}:rollback").status == 200
    current, = active(api, path)
    assert api.delete(f"{path}/models/{current}").status == 409
    other = first if current == second else second
    assert api.delete(f"{path}/models/{other}").status == 204
    assert api.delete(f"{path}/models/{other}").status == 404
    assert api.delete(f"{path}/models/identity").status == 409


def test_nothing_to_undo(api, vectors):
    reply = api.post(f"{vectors}/models:rollback")
    assert (reply.status, reply.code) == (409, "conflict")


def test_identity_is_there(api, vectors):
    models = api.get(f"{vectors}/models").json
    assert [m["id"] for m in models["models"]] == ["identity"]
    identity = api.get(f"{vectors}/models/identity").json
    assert identity["method"] == "identity" and identity["report"] is None


def test_a_page_at_a_time(api, vectors):
    api.ndjson(f"{vectors}/items:import", pairs(120, 4, 3, 3))
    model = train(api, vectors)
    page = api.get(f"{vectors}/models?limit=1").json
    assert [m["id"] for m in page["models"]] == ["identity"]
    page = api.get(f"{vectors}/models?limit=1&cursor={page['next']}").json
    assert ([m["id"] for m in page["models"]], page["next"]) == ([model], None)
    assert api.get(f"{vectors}/models?cursor=junk").status == 422


def test_evaluate(api, trained):
    path, model = trained
    url = f"{path}/models/{model}:evaluate"
    report = api.get(f"{path}/models/{model}").json["report"]
    for body in (None, {}, {"split": "test"}):
        job = api.job(api.post(url, body))
        again = job["result"]["report"]
        assert again["text_to_image"] == report["text_to_image"]
    job = api.job(api.post(url, {"split": "validation"}))
    assert job["state"] == "done", job
    job = api.job(api.post(url, {"pairs": [[f"i{i}", f"i{i}"] for i in range(60)]}))
    assert job["state"] == "done", job
    assert job["result"]["report"]["split"]["test"] == 60


def test_evaluate_refuses(api, trained):
    path, model = trained
    url = f"{path}/models/{model}:evaluate"
    assert api.post(url, {"pairs": [["i1", "nobody"]]}).pointer == "/pairs/0/1"
    for body, pointer in [({"split": "all"}, "/split"), ({"pairs": []}, "/pairs"),
                          ({"pairs": [["i1"]]}, "/pairs/0"), ({"pairs": [[1, "i1"]]}, "/pairs/0/0"),
                          ({"split": "test", "pairs": [["i1", "i1"]]}, "/pairs")]:
        reply = api.post(url, body)
        assert (reply.status, reply.pointer) == (422, pointer)
    assert api.post(url, "{").status == 400
    assert api.post(url, "{}", kind="text/plain").status == 415
    assert api.post(f"{path}/models/m_999:evaluate", {}).status == 404
    key = {"Idempotency-Key": "evaluate-once"}
    api.job(api.post(url, {"split": "test"}, headers=key))
    assert api.post(url, {"split": "validation"}, headers=key).status == 409


def test_what_this_method_cannot(api, trained):
    path, model = trained
    assert api.get(f"{path}/models/{model}").json["can"] == ["embed_image", "embed_text"]
    assert api.get(f"{path}/models/identity").json["can"] == ["embed_image", "embed_text"]
    for verb in ("caption", "render"):
        url = f"{path}/models/{model}:{verb}"
        reply = api.post(url, {"text": "a"})
        assert (reply.status, reply.code) == (409, "no_model")
        assert f"(acmr) cannot {verb}" in reply.json["detail"]
        assert api.post(url, []).status == 422
        assert api.post(url, "{").status == 400
        assert api.post(url, "x", kind="text/plain").status == 415
        assert api.post(f"{path}/models/m_999:{verb}", {"text": "a"}).status == 404


def test_unknown(api, vectors):
    for path in (f"{vectors}/models/m_1", "/v1/collections/none/models/m_1"):
        assert api.get(path).status == 404
        assert api.delete(path).status == 404
        assert api.post(f"{path}:activate").status == 404
        assert api.post(f"{path}:rollback").status == 404
    assert api.get("/v1/collections/none/models").status == 404
    assert api.post("/v1/collections/none/models:rollback").status == 404
    for reply in (api.get(f"{vectors}/models?x=1"), api.get(f"{vectors}/models/identity?x=1"),
                  api.delete(f"{vectors}/models/m_1?x=1"),
                  api.post(f"{vectors}/models:rollback", {"x": 1}),
                  api.post(f"{vectors}/models/identity:activate", {"x": 1}),
                  api.post(f"{vectors}/models/identity:rollback", {"x": 1})):
        assert reply.status == 422


def test_a_large_index_is_built_by_a_job(tmp_path):
    """Both ways: to a model never used, and back to one whose index was not kept."""
    items = live.ndjson(pairs(2100, 4, 3, 3))
    undo = {"/v1/collections/c": "/models:rollback",
            "/v1/collections/d": "/models/{model}:rollback"}
    with live.Daemon(tmp_path, "--merge-at", "1000000") as daemon:
        api = contract.Client(daemon)
        for path in undo:
            api.put(path, {"image_encoder": {"name": "external", "dim": 4},
                           "text_encoder": {"name": "external", "dim": 3}})
            api.post(f"{path}/items:import?results=failed", items, kind="application/x-ndjson")
            model = train(api, path)
            job = api.job(api.post(f"{path}/models/{model}:activate"))
            assert job["state"] == "done" and job["result"]["activated"], job
            assert active(api, path) == [model]
        daemon.stop()
        daemon.start()
        for path, verb in undo.items():
            current, = active(api, path)
            assert api.job(api.post(path + verb.format(model=current)))["state"] == "done"
            assert active(api, path) == ["identity"]
            assert api.post(f"{path}/models:rollback").status == 200  # kept this time
