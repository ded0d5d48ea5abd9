"""Fixtures: one daemon for the whole run, with a client that checks every reply."""
import itertools
import json

import pytest

import contract
import live

PICTURES = live.ROOT / "tests/fixtures/pictures"
names = (f"c{n}" for n in itertools.count(1))


@pytest.fixture(scope="session")
def daemon(tmp_path_factory):
    with live.Daemon(tmp_path_factory.mktemp("shared")) as running:
        yield running


@pytest.fixture(scope="session")
def api(daemon):
    return contract.Client(daemon)


@pytest.fixture
def collection(api):
    """The path of an empty collection with the encoders that need no file."""
    path = f"/v1/collections/{next(names)}"
    reply = api.put(path, {"image_encoder": "descriptor", "text_encoder": "ngrams"})
    assert reply.status == 201
    return path


@pytest.fixture
def vectors(api):
    """The path of an empty collection for ready vectors: 4 wide for pictures, 3 for texts."""
    path = f"/v1/collections/{next(names)}"
    reply = api.put(path, {"image_encoder": {"name": "external", "dim": 4},
                           "text_encoder": {"name": "external", "dim": 3}})
    assert reply.status == 201
    return path


@pytest.fixture(scope="session")
def stamps(daemon):
    """The path of a small collection of pictures, shared: tests leave it as it is."""
    live.load_stamps(daemon)
    return "/v1/collections/stamps"


@pytest.fixture(scope="session")
def trained(api):
    """A collection of 300 pairs of vectors in five classes with one trained, active model."""
    path = "/v1/collections/trained"
    assert api.put(path, {"image_encoder": {"name": "external", "dim": 12},
                          "text_encoder": {"name": "external", "dim": 8}}).status == 201
    api.ndjson(f"{path}/items:import", pairs(300))
    job = api.job(api.post(f"{path}/trainings", {
        "method": "acmr", "params": {"epochs": 20}, "seed": 1, "activate": "always"}))
    assert job["state"] == "done", job
    return path, job["result"]["model"]


def spread(*keys):
    """A number in [-1, 1) that depends on the keys alone."""
    x = 2166136261
    for byte in json.dumps(keys).encode():
        x = (x ^ byte) * 16777619 % 2**32
    x ^= x >> 15
    x = x * 2246822519 % 2**32
    return (x ^ x >> 13) / 2**31 - 1


def pairs(n, image=12, text=8, classes=5, noise=0.5):
    """Items with one vector a modality around the centre of their class."""
    for i in range(n):
        k = i % classes
        yield {"id": f"i{i}", "label": f"class {k}", "texts": [f"text {i}"], "metadata": {"n": i},
               "vectors": {
                   "image": [spread("image", k, d) + noise * spread(i, d) for d in range(image)],
                   "texts": [[spread("text", k, d) + noise * spread(d, i) for d in range(text)]]}}


def picture(name):
    return (PICTURES / name).read_bytes()
