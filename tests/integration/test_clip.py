"""A CLIP folder: one encoder for both modalities, so texts find pictures before any training."""
import base64
import json
import math
import shutil
import struct

import pytest

import contract
import live

GOLDEN = live.ROOT / "tests/golden/clip"
FILES = ("config.json", "model.safetensors", "preprocessor_config.json", "vocab.json", "merges.txt")


def tensors(path):
    """{name: (shape, bytes)} of a safetensors file."""
    data = path.read_bytes()
    n, = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + n])
    header.pop("__metadata__", None)
    return {name: (t["shape"], data[8 + n + t["data_offsets"][0]:8 + n + t["data_offsets"][1]])
            for name, t in header.items()}


def rows(tensor):
    shape, data = tensor
    x = struct.unpack(f"<{shape[0] * shape[1]}f", data)
    return [x[i * shape[1]:(i + 1) * shape[1]] for i in range(shape[0])]


def pictures(expected):
    for i in range(expected["images"][0][0]):
        (height, width, _), rgb = expected[f"picture.{i}"]
        yield live.png(width, height, lambda x, y: rgb[(y * width + x) * 3:(y * width + x) * 3 + 3])


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


def install(data, name="clip"):
    folder = data / "encoders" / name
    folder.mkdir(parents=True)
    for file in FILES:
        shutil.copy(GOLDEN / file, folder)
    return folder


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A client of a daemon with the golden CLIP installed."""
    folder = tmp_path_factory.mktemp("clip")
    install(folder / "data")
    with live.Daemon(folder) as daemon:
        yield contract.Client(daemon)


@pytest.fixture(scope="module")
def filled(clip):
    """The golden pictures, each with the golden texts that it shares the number with."""
    path = "/v1/collections/golden"
    expected = tensors(GOLDEN / "expected.safetensors")
    texts = [t["text"] for t in json.loads((GOLDEN / "texts.json").read_text())]
    reply = clip.put(path, {"image_encoder": "clip", "text_encoder": "clip"})
    assert (reply.status, reply.json["text_encoder"]) == (201, {"name": "clip", "dim": 20})
    done = clip.ndjson(f"{path}/items:import?results=failed", [
        {"id": f"p{i}", "image": {"base64": base64.b64encode(png).decode()},
         "texts": [texts[i + 2]]} for i, png in enumerate(pictures(expected))])
    assert done.lines()[-1]["summary"]["failed"] == 0
    return path, texts, rows(expected["texts"]), rows(expected["images"])


def test_is_listed_for_both(clip):
    listed = {e["name"]: e["modalities"] for e in clip.get("/v1/info").json["encoders"]}
    assert listed["clip"] == ["image", "text"]


def test_texts_find_pictures_before_training(clip, filled):
    path, texts, text_rows, image_rows = filled
    for k in (2, 3, 9, 13, 20):
        reply = clip.post(f"{path}/query", {"query": {"text": texts[k]}, "target": "image"})
        assert reply.status == 200
        found = {h["id"]: h["similarity"] for h in reply.json["hits"]}
        assert len(found) == len(image_rows)
        for i, row in enumerate(image_rows):
            assert math.isclose(found[f"p{i}"], dot(text_rows[k], row), abs_tol=2e-4)


def test_pictures_find_texts_before_training(clip, filled):
    path, _, text_rows, image_rows = filled
    reply = clip.post(f"{path}/query", {"query": {"id": "p4", "modality": "image"},
                                        "target": "text"})
    found = {h["id"]: h["similarity"] for h in reply.json["hits"]}
    for i in range(len(image_rows)):
        if f"p{i}" in found:
            assert math.isclose(found[f"p{i}"], dot(text_rows[i + 2], image_rows[4]), abs_tol=2e-4)
    assert len(found) >= len(image_rows) - 1  # the item itself may be left out


def test_both_sides_at_once(clip):
    path = "/v1/collections/sides"
    assert clip.put(path, {"image_encoder": "clip", "text_encoder": "clip"}).status == 201
    picture = {"base64": base64.b64encode(live.stamps(1)[0][1]).decode()}
    clip.ndjson(f"{path}/items:import", [{"id": "a", "image": picture},
                                         {"id": "b", "texts": ["a"]}])
    hits = clip.post(f"{path}/query", {"query": {"text": "a bird"}, "target": "any"}).json["hits"]
    assert {(h["id"], h["modality"]) for h in hits} == {("a", "image"), ("b", "text")}


def test_trained_methods_are_compared_with_it(clip):
    path = "/v1/collections/compared"
    assert clip.put(path, {"image_encoder": "clip", "text_encoder": "clip"}).status == 201
    clip.ndjson(f"{path}/items:import", [
        {"id": name, "image": {"base64": base64.b64encode(png).decode()}, "texts": texts,
         "label": label} for name, png, texts, label, _ in live.stamps(80)])
    job = clip.job(clip.post(f"{path}/trainings", {"method": "linear", "activate": "never"}))
    assert job["state"] == "done", job
    report = clip.get(f"{path}/models/{job['result']['model']}").json["report"]
    identity = report["baselines"]["identity"]
    assert identity["method"] == "identity"
    for direction in ("image_to_text", "text_to_image"):
        assert 0 < identity[direction]["map_all"]["value"] <= 1


def test_one_side_alone_does_not_cross(clip):
    path = "/v1/collections/one-side"
    assert clip.put(path, {"image_encoder": "clip", "text_encoder": "ngrams"}).status == 201
    clip.put(f"{path}/items/a", {"texts": ["a bird"]})
    reply = clip.post(f"{path}/query", {"query": {"text": "a bird"}, "target": "image"})
    assert (reply.status, reply.code) == (409, "no_model")


def test_the_same_after_a_restart(tmp_path):
    install(tmp_path / "data")
    query = {"query": {"text": "a bird"}, "target": "image"}
    with live.Daemon(tmp_path) as daemon:
        daemon.must("PUT", "/v1/collections/c", {"image_encoder": "clip", "text_encoder": "clip"})
        daemon.must("PUT", "/v1/collections/c/items/a", {
            "image": {"base64": base64.b64encode(live.stamps(1)[0][1]).decode()}})
        before = daemon.must("POST", "/v1/collections/c/query", query)["hits"]
        daemon.kill()
        daemon.start()
        assert daemon.must("POST", "/v1/collections/c/query", query)["hits"] == before
        assert len(before) == 1


def cut(path):
    data = path.read_bytes()
    path.write_bytes(data[:-1000])


def extend(path):
    with open(path, "ab") as file:
        file.write(b"\0" * 64)


def poison(path):
    data = bytearray(path.read_bytes())
    data[-8:] = struct.pack("<2f", float("nan"), 1)
    path.write_bytes(data)


def widen(path):
    config = json.loads(path.read_text())
    config["text_config"]["hidden_size"] = 30
    path.write_text(json.dumps(config))


@pytest.mark.parametrize("file, harm, words", [
    ("model.safetensors", cut, "do not fit its shape or the file"),
    ("model.safetensors", extend, "belong to no tensor"),
    ("model.safetensors", poison, "is not finite"),
    ("config.json", widen, "q_proj.weight has the shape [24, 24], wanted: [30, 30]"),
    ("config.json", lambda p: p.write_text("{"), "line 1"),
    ("vocab.json", lambda p: p.write_text("{}"), "the vocabulary has no piece"),
    ("merges.txt", lambda p: p.write_text("a\n"), "merges.txt, line 1"),
    ("merges.txt", lambda p: p.unlink(), "merges.txt"),
    ("preprocessor_config.json", lambda p: p.write_text('{"crop_size": 64}'), "crop_size"),
], ids=lambda v: v if isinstance(v, str) and "." in v else "")
def test_a_damaged_folder_is_named(tmp_path, file, harm, words):
    """And the daemon goes on with the others."""
    harm(install(tmp_path / "data", "bad") / file)
    install(tmp_path / "data", "good")
    with live.Daemon(tmp_path) as daemon:
        status, problem = daemon.ask("PUT", "/v1/collections/c", {"image_encoder": "bad"})
        assert status >= 400 and words in problem["detail"], problem
        daemon.must("PUT", "/v1/collections/c", {"image_encoder": "good", "text_encoder": "good"})
        daemon.must("PUT", "/v1/collections/c/items/a", {"texts": ["a bird"]})
