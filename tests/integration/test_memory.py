"""What an idle daemon takes: under 20 MB resident on a data folder that holds something."""
import live

RESIDENT = 20e6
READY_S = 10  # bounds a hang; the figure itself is printed


def test_idle(tmp_path):
    daemon = live.Daemon(tmp_path)
    with daemon:
        live.load_stamps(daemon)
        daemon.train("stamps", method="linear", activate="always")
    with daemon:
        assert daemon.must("GET", "/livez")["status"] == "ok"
        resident = daemon.resident()
        print(f"ready after {daemon.ready_s * 1000:.0f} ms, {resident / 1e6:.1f} MB resident")
        assert daemon.is_sanitized() or resident < RESIDENT
        assert daemon.ready_s < READY_S
        assert daemon.must("GET", "/v1/collections/stamps")["counts"]["items"] == 60
