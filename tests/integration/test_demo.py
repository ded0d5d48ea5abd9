"""The pictures that an empty server is tried with: those that are installed, or none."""
import json
import shutil

import contract
import live
from conftest import PICTURES


def test_installed(tmp_path):
    folder = tmp_path / "stamps"
    for name in ("animals/birds/owl.png", "animals/birds/owl_mirror.png", "symbols/a.png",
                 "food/jam.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PICTURES / "rgb8.png", folder / name)
    (folder / "animals/birds/owl.txt").write_text("An owl.\nde.utf8=Eine Eule.\n")
    with live.Daemon(tmp_path / "daemon", "--demo", folder) as daemon:
        api = contract.Client(daemon)
        demo = api.get("/v1/demo").json
        assert (demo["available"], demo["items"]) == (True, 2)
        lines = api.get("/v1/demo/items").lines()
        assert [line["id"] for line in lines] == ["animals/birds/owl.png", "food/jam.png"]
        assert lines[0]["label"] == "animals/birds" and lines[0]["texts"] == ["An owl."]
        assert lines[1]["metadata"] == {"topic": "food"}
        path = f"/v1/collections/{demo['collection']}"
        assert api.put(path, live.FILE_FREE).status == 201
        reply = api.post(f"{path}/items:import", "\n".join(map(json.dumps, lines)),
                         kind="application/x-ndjson")
        assert reply.lines()[-1]["summary"]["created"] == 2


def test_not_installed(tmp_path):
    with live.Daemon(tmp_path, "--demo", tmp_path / "none") as daemon:
        api = contract.Client(daemon)
        assert api.get("/v1/demo").json["available"] is False
        assert api.get("/v1/demo/items").status == 404
