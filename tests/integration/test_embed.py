"""Embeddings on request."""
import base64
import math
import struct

from conftest import picture


def test_features_before_a_training(api, stamps):
    reply = api.post(f"{stamps}/embed", {"inputs": [{"text": "a seal"}, {"text": "an owl"}]})
    assert reply.status == 200
    assert (reply.json["model"], reply.json["space"]) == ("identity", "feature")
    assert [len(x) for x in reply.json["vectors"]] == [reply.json["dim"]] * 2


def test_numbers_and_base64_are_the_same(api, trained):
    path, model = trained
    inputs = [{"vector": [1] * 12, "modality": "image"}, {"vector": [1] * 8, "modality": "text"}]
    numbers = api.post(f"{path}/embed", {"inputs": inputs})
    packed = api.post(f"{path}/embed", {"inputs": inputs, "format": "base64", "model": model})
    assert (numbers.json["model"], numbers.json["space"]) == (model, "common")
    for x, text in zip(numbers.json["vectors"], packed.json["vectors"]):
        y = struct.unpack(f"<{len(x)}f", base64.b64decode(text))
        assert all(math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-30) for a, b in zip(x, y))


def test_two_spaces_do_not_mix(api, vectors):
    reply = api.post(f"{vectors}/embed", {"inputs": [
        {"vector": [1, 0, 0, 0], "modality": "image"}, {"vector": [1, 0, 0], "modality": "text"}]})
    assert (reply.status, reply.code) == (409, "no_model")


def test_pictures(api, stamps):
    good = {"image": {"base64": base64.b64encode(picture("444.jpg")).decode()}}
    bomb = {"image": {"base64": base64.b64encode(picture("bomb.png")).decode()}}
    assert api.post(f"{stamps}/embed", {"inputs": [good]}).status == 200
    reply = api.post(f"{stamps}/embed", {"inputs": [good, bomb]})
    assert (reply.status, reply.pointer) == (413, "/inputs/1/image")


def test_refusals(api, vectors):
    path = f"{vectors}/embed"
    one = {"vector": [1, 0, 0, 0], "modality": "image"}
    for body, pointer in [
            ({}, "/inputs"), ({"inputs": []}, "/inputs"), ({"inputs": [one] * 101}, "/inputs"),
            ({"inputs": [{"id": "a"}]}, "/inputs/0"),
            ({"inputs": [{"vector": [1, 0, 0], "modality": "common"}]}, "/inputs/0/modality"),
            ({"inputs": [one], "format": "hex"}, "/format"),
            ({"inputs": [one, {"vector": [1], "modality": "image"}]}, "/inputs/1/vector")]:
        reply = api.post(path, body)
        assert (reply.status, reply.pointer) == (422, pointer)
    assert api.post(path, {"inputs": [{"text": "a"}]}).code == "vector_required"
    assert api.post(path, "{").status == 400
    assert api.post(path, "x", kind="text/plain").status == 415
    assert api.post(path, {"inputs": [one], "model": "m_99"}).status == 404
    assert api.post("/v1/collections/none/embed", {"inputs": [one]}).status == 404
