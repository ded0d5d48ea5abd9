"""README.md's examples as they stand, one after the other, by a shell: each reply is a success."""
import os
import re
import subprocess

import live


def blocks():
    return re.findall(r"^```sh\n(.*?)^```$", (live.ROOT / "README.md").read_text(),
                      re.MULTILINE | re.DOTALL)


def test_the_table_of_methods(daemon):
    done = subprocess.run([live.ROOT / "docs/methods", "--check", daemon.base], timeout=60,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_examples(tmp_path):
    found = blocks()
    assert len(found) == 10
    # A curl before the real one adds --fail-with-body: its code tells a problem from a success.
    real = subprocess.run(["sh", "-c", "command -v curl"], capture_output=True, text=True,
                          check=True).stdout.strip()
    wrapper = tmp_path / "bin" / "curl"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\nexec {real} --fail-with-body "$@"\n')
    wrapper.chmod(0o755)
    with live.Daemon(tmp_path / "daemon") as daemon:
        live.load_stamps(daemon)
        daemon.train("stamps", method="linear", activate="always")
        env = {**os.environ, "ISTHMUS": daemon.base,
               "PATH": f"{wrapper.parent}:{os.environ['PATH']}"}
        for block in found:
            done = subprocess.run(["sh", "-ec", block], cwd=live.ROOT, env=env, timeout=60,
                                  capture_output=True, text=True, errors="replace", check=False)
            assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
            assert '"status":"failed"' not in done.stdout.replace(" ", ""), done.stdout
        job = daemon.must("GET", "/v1/jobs?limit=1")["jobs"][0]
        assert daemon.job(job["id"])["state"] == "done"
