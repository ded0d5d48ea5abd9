"""The methods and their parameter tables."""


def test_tables(api):
    reply = api.get("/v1/methods")
    assert reply.status == 200
    methods = {method["name"]: method for method in reply.json["methods"]}
    assert {"acmr", "linear"} <= set(methods)
    acmr = methods["acmr"]
    assert acmr["needs"] == ["labels"]
    assert {"embed_image", "embed_text"} <= set(acmr["can"])
    assert acmr["paper"]["year"] == 2017
    assert methods["linear"]["paper"] is None
    params = {param["name"]: param for param in acmr["params"]}
    assert params["similarity"]["type"] == "choice"
    assert set(params["similarity"]["choices"]) == {"euclidean", "cosine", "posterior"}
    assert params["similarity"]["default"] is None
    for method in methods.values():
        assert method["about"]
        for param in method["params"]:
            assert param["help"]
            if param["type"] in ("int", "real") and param["default"] is not None:
                assert param["min"] <= param["default"] <= param["max"]
