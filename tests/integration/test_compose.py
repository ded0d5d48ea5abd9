"""Composed retrieval end to end: triples, a training, composed queries, text queries, the gate."""
import itertools
import json
import subprocess

import pytest

import live
from conftest import names

PEOPLE, COLOURS = 30, ("red", "green", "blue", "white")


def parts():
    """Of 30 people 20 train, 4 choose, 6 are held out."""
    return ["train"] * 20 + ["validation"] * 4 + ["test"] * 6


def wearing(person, colour):
    """A picture's feature: who it is in 24 columns, the colour of the coat in 4; none negative."""
    one = [0.0] * 28
    for k in range(3):
        one[(person * 7 + k * 5) % 24] += 1.0 + (person % (k + 2)) / 3
    one[24 + COLOURS.index(colour)] = 1.5
    return one


@pytest.fixture(scope="module")
def people(api):
    """People in coats of four colours, with the edits between them; a trained DMIM is active."""
    path = f"/v1/collections/{next(names)}"
    assert api.put(path, {"image_encoder": {"name": "external", "dim": 28},
                          "text_encoder": "ngrams",
                          "split": {"field": "part"}}).status == 201
    api.ndjson(f"{path}/items:import", (
        {"id": f"p{p}-{c}", "metadata": {"part": part}, "vectors": {"image": wearing(p, c)},
         "texts": [f"a {c} coat"]}
        for p, part in enumerate(parts()) for c in COLOURS))
    reply = api.post(f"{path}/triples:import", "\n".join(json.dumps(
        {"reference": f"p{p}-{a}", "text": f"put on a {b} coat", "target": f"p{p}-{b}"})
        for p in range(PEOPLE) for a, b in itertools.permutations(COLOURS, 2)),
        kind="application/x-ndjson")
    assert reply.lines()[-1]["summary"]["created"] == PEOPLE * 12
    job = api.job(api.post(f"{path}/trainings", {
        "method": "dmim", "params": {"code": 32, "critic": 16, "epochs": 60, "batch": 16},
        "seed": 3}))
    assert job["state"] == "done", job
    return path, job


def compose(api, path, image, text, **options):
    return api.post(f"{path}/query", {
        "query": {"compose": {"image": image, "text": text}}, **options})


def test_it_replaces_identity_by_the_gate(api, people):
    path, job = people
    assert job["result"]["activated"], job
    assert "composed queries" in job["result"]["reason"]
    assert api.get(path).json["active_model"] == job["result"]["model"]


def test_the_report_holds_composed_figures_and_baselines(api, people):
    path, job = people
    report = api.get(f"{path}/models/{job['result']['model']}").json["report"]["composed"]
    assert (report["queries"], report["gallery"]) == (6 * 12, 6 * 4)
    assert report["split"] == {"train": 240, "validation": 48, "test": 72}
    assert report["r_1"]["low"] <= report["r_1"]["value"] <= report["r_1"]["high"]
    assert set(report["baselines"]) == {"image", "text", "sum", "linear"}
    assert report["map_all"]["value"] > report["baselines"]["image"]["map_all"]["low"]
    assert report["r_1"]["value"] > 5 * report["chance"]["r_1"]["value"]


def test_curves_show_both_terms(api, people):
    curves = api.get(f"/v1/jobs/{people[1]['id']}").json["curves"]
    assert {"L_metric", "L_text", "L_local", "loss"} <= set(curves)
    assert curves["L_metric"][-1][1] < curves["L_metric"][0][1]


def test_held_out_people_change_their_coats(api, people):
    path, _ = people
    found = 0
    edits = [(p, a, b) for p in range(24, 30) for a, b in itertools.permutations(COLOURS, 2)]
    for p, a, b in edits:
        reply = compose(api, path, {"id": f"p{p}-{a}"}, f"put on a {b} coat",
                        limit=3, filter={"eq": {"metadata.part": "test"}})
        assert reply.status == 200
        ids = [hit["id"] for hit in reply.json["hits"]]
        assert f"p{p}-{a}" not in ids and len(ids) == 3
        found += ids[0] == f"p{p}-{b}"
    assert found > len(edits) / 2


def test_the_reference_is_never_a_hit(api, people):
    path, _ = people
    reply = compose(api, path, {"id": "p0-red"}, "put on a red coat", limit=1000)
    assert len(reply.json["hits"]) == PEOPLE * 4 - 1
    assert "p0-red" not in [hit["id"] for hit in reply.json["hits"]]
    assert reply.json["searched"] == ["image"]
    assert all(hit["modality"] == "image" for hit in reply.json["hits"])


def test_scores_are_calibrated_and_explained(api, people):
    path, _ = people
    reply = compose(api, path, {"id": "p25-red"}, "put on a blue coat", explain=True, threshold=0)
    hits = reply.json["hits"]
    assert reply.json["explain"]["from"] == "composed"
    assert [h["similarity"] for h in hits] == sorted((h["similarity"] for h in hits), reverse=True)
    assert all(0 <= h["score"] <= 1 and -1.0001 <= h["similarity"] <= 1.0001 for h in hits)
    assert hits[0]["score"] > hits[-1]["score"]


def test_texts_ask_through_the_critic(api, people):
    """No paper says how; the score is the critic's, and colours alone should come out."""
    path, _ = people
    hits = api.post(f"{path}/query", {"query": {"text": "put on a green coat"}, "target": "image",
                                      "limit": 10}).json["hits"]
    assert sum(hit["id"].endswith("-green") for hit in hits) >= 7


def test_pictures_ask_for_pictures_by_the_metric_half(api, people):
    path, _ = people
    reply = api.post(f"{path}/query", {"query": {"id": "p26-red"}, "target": "image", "limit": 5})
    assert all(-1.0001 <= hit["similarity"] <= 1.0001 for hit in reply.json["hits"])


def test_refusals(api, people, vectors):
    path, _ = people
    assert compose(api, path, {"id": "nobody"}, "x").status == 404
    reply = compose(api, path, {"id": "p0-red"}, "put on a red coat", target="text")
    assert (reply.status, reply.pointer) == (422, "/target")
    reply = compose(api, path, {"base64": "AAAA"}, "put on a red coat")
    assert (reply.status, reply.code) == (422, "vector_required")
    api.ndjson(f"{path}/items:import", [{"id": "mute", "texts": ["only words"]}])
    reply = compose(api, path, {"id": "mute"}, "put on a red coat")
    assert (reply.status, reply.pointer) == (422, "/query/compose/image/id")
    api.delete(f"{path}/items/mute")


def test_without_triples_or_with_too_few(api, vectors):
    reply = api.post(f"{vectors}/trainings", {"method": "dmim"})
    assert (reply.status, reply.code) == (409, "not_enough_data")
    api.ndjson(f"{vectors}/items:import", [
        {"id": f"i{i}", "vectors": {"image": [1, i, 0, 0]}} for i in range(4)])
    reply = api.post(f"{vectors}/trainings", {"method": "dmim"})
    assert (reply.status, reply.code) == (409, "not_enough_data")
    assert "triples" in reply.json["detail"]


def test_tirg_alone_answers_no_texts(api, people):
    path, first = people
    job = api.job(api.post(f"{path}/trainings", {
        "method": "dmim", "params": {"code": 32, "epochs": 10, "lambda_text": 0,
                                     "lambda_local": 0}, "activate": "never"}))
    model = job["result"]["model"]
    reply = api.post(f"{path}/query", {"query": {"text": "a red coat"}, "target": "image",
                                       "model": model})
    assert (reply.status, reply.code) == (409, "no_model")
    assert compose(api, path, {"id": "p0-red"}, "put on a blue coat", model=model).status == 200
    assert api.get(path).json["active_model"] == first["result"]["model"]


def test_evaluate_measures_composed_queries(api, people):
    path, first = people
    job = api.job(api.post(f"{path}/models/{first['result']['model']}:evaluate",
                           {"split": "validation"}))
    assert job["state"] == "done", job
    assert job["result"]["report"]["composed"]["queries"] == 48


def test_one_that_crosses_is_not_replaced(api, people):
    """A model that answers texts stays: composed queries can name theirs."""
    path, first = people
    job = api.job(api.post(f"{path}/trainings", {"method": "linear", "activate": "always"}))
    assert job["state"] == "done", job
    job = api.job(api.post(f"{path}/trainings", {
        "method": "dmim", "params": {"code": 16, "epochs": 2}}))
    assert job["state"] == "done", job
    assert not job["result"]["activated"] and "cannot compose" in job["result"]["reason"]
    assert compose(api, path, {"id": "p0-red"}, "put on a blue coat").code == "no_model"
    assert api.post(f"{path}/models/{first['result']['model']}:activate").status in (200, 202)


def client(daemon, *words):
    run = subprocess.run([live.BUILD / "isthmus", "--server", daemon.base, *map(str, words)],
                         capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_the_client_composes(daemon, people):
    name = people[0].rsplit("/", 1)[1]
    hits = json.loads(client(daemon, "query", name, "--id", "p27-red", "--compose",
                             "put on a white coat", "--limit", 3, "--model",
                             people[1]["result"]["model"], "--json"))["hits"]
    assert len(hits) == 3 and "p27-red" not in [hit["id"] for hit in hits]


def test_shapes_from_pixels_and_words(api, daemon, tmp_path):
    """What `sample` writes goes through import, triples and a training that learns to see."""
    folder, name = tmp_path / "shapes", next(names)
    printed = client(daemon, "sample", "shapes", folder, "--pictures", 240, "--seed", 5)
    assert "240 pictures and 480 edits" in printed
    lines = (folder / "triples.ndjson").read_text().splitlines()
    assert len(lines) == 480
    client(daemon, "import", folder, "-c", name, "--label-levels", 0, "--image-encoder", "pixels",
           "--text-encoder", "words")
    assert "480 created" in client(daemon, "triples", name, folder / "triples.ndjson")
    assert "480 unchanged" in client(daemon, "triples", name, folder / "triples.ndjson")
    path = f"/v1/collections/{name}"
    assert api.get(path).json["counts"]["triples"] == 480
    assert api.patch(path, {"split": {"field": "part"}}).status == 200
    client(daemon, "train", name, "--method", "dmim", "--param", "epochs=6", "--param",
           "channels=4", "--param", "code=32", "--param", "batch=16", "--activate", "always")
    model = api.get(f"{path}/models/m_{max_model(api, path)}").json
    assert model["params"]["image_network"] == "cnn" and model["params"]["text_network"] == "lstm"
    assert model["report"]["composed"]["split"]["train"] == 336
    curve = api.get(f"{path}/models/{model['id']}").json["report"]["composed"]
    assert curve["map_all"]["value"] > 2 * curve["chance"]["map_all"]["value"]
    first = json.loads(lines[0])
    found = json.loads(client(daemon, "query", name, "--image", folder / first["reference"],
                              "--compose", first["text"], "--json"))
    assert found["searched"] == ["image"] and len(found["hits"]) == 10


def max_model(api, path):
    models = api.get(f"{path}/models").json["models"]
    return max(int(m["id"][2:]) for m in models if m["id"].startswith("m_"))


def test_equal_seeds_sample_equal_bytes(daemon, tmp_path):
    for folder in ("a", "b"):
        client(daemon, "sample", "shapes", tmp_path / folder, "--pictures", 16, "--seed", 3)
    client(daemon, "sample", "shapes", tmp_path / "c", "--pictures", 16, "--seed", 4)
    bytes_of = [{f.name: f.read_bytes() for f in (tmp_path / x).iterdir()} for x in "abc"]
    assert bytes_of[0] == bytes_of[1] != bytes_of[2]
    assert len(bytes_of[0]) == 33
