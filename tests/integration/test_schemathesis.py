"""Every operation of openapi.yaml with what schemathesis makes of its schemas: no finding.

The daemon holds the collection, the items, models and jobs that the contract's examples name, so
that requests get past the 404. ISTHMUS_SCHEMATHESIS_EXAMPLES sets the examples an operation,
ISTHMUS_SCHEMATHESIS_SEED the seed.
"""
import os
import pathlib
import subprocess
import sys

import live

HERE = pathlib.Path(__file__).resolve().parent
EXAMPLES = os.environ.get("ISTHMUS_SCHEMATHESIS_EXAMPLES", "40")
SEED = os.environ.get("ISTHMUS_SCHEMATHESIS_SEED", "1")


def fill(daemon):
    """Collection `stamps` with m_1 to m_3 and jobs up to j_12; m_3 writes and imagines."""
    live.load_stamps(daemon)
    for seed in range(2):
        daemon.train("stamps", method="linear", seed=seed, activate="always")
    daemon.train("stamps", method="gxn", activate="always", params={
        "captions": True, "generator": "feature", "epochs": 2, "batch": 16, "code": 8,
        "decoder": 8, "z": 4, "condition": 8, "generator_width": 8, "critic_width": 8})
    for _ in range(9):
        job = daemon.must("POST", "/v1/collections/stamps/models/m_3:evaluate", {})
        assert daemon.job(job["id"])["state"] == "done"


def test_no_finding(tmp_path):
    with live.Daemon(tmp_path) as daemon:
        fill(daemon)
        st = subprocess.run(
            [pathlib.Path(sys.executable).parent / "st", "--config-file",
             HERE / "schemathesis.toml", "run", live.ROOT / "openapi.yaml", "-u", daemon.base,
             "--max-examples", EXAMPLES, "--seed", SEED, "--no-color"],
            cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(HERE)}, capture_output=True,
            text=True, timeout=1800, check=False)
        print(st.stdout[-60000:], st.stderr[-4000:])
        assert daemon.must("GET", "/healthz")["status"] == "ok"
        assert st.returncode == 0, "schemathesis has findings (above)"
        assert "Test cases:" in st.stdout
