"""The operators' files: rules and dashboard speak of metrics that the daemon has, and Prometheus's
own tool takes them."""
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

import live

FOLDER = live.ROOT / "deploy/monitoring"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")


def promtool(*words):
    program = shutil.which("promtool") or shutil.which(CACHE / "isthmus/promtool")
    if program is None:
        pytest.skip("no promtool; deploy/setup test fetches it")
    done = subprocess.run([program, *words], cwd=FOLDER, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_names(api):
    """Each metric that a rule or a panel asks for is one that the daemon tells."""
    text = api.get("/metrics").data.decode()
    known = {name + end for name, kind in re.findall(r"# TYPE (\w+) (\w+)", text)
             for end in (("_bucket", "_sum", "_count") if kind == "histogram" else ("",))}
    operations = set(re.findall(r"operationId: (\w+)", (live.ROOT / "openapi.yaml").read_text()))
    for name in ("alerts.yml", "grafana.json"):
        said = (FOLDER / name).read_text().replace('\\"', '"')
        asked = set(re.findall(r"\bisthmus_\w+", said))
        assert asked and asked <= known, (name, asked - known)
        for values in re.findall(r'operation=~"([^"]+)"', said):
            assert set(values.split("|")) <= operations, values


def test_dashboard():
    board = json.loads((FOLDER / "grafana.json").read_text())
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids)) >= 15
    for panel in board["panels"]:
        assert panel["title"] and panel["targets"]
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24


def test_rules():
    promtool("check", "config", "prometheus.yml")
    promtool("check", "rules", "alerts.yml")


def test_what_rules_fire_on():
    promtool("test", "rules", "alerts_test.yml")
