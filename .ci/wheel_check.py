"""Checks the installed wheel, as a user has it after `pip install topfive`.

`python wheel_check.py PHOTO`, with a Python that has only the wheel installed; PHOTO shows an espresso. At the end it
removes ONNX Runtime from that environment, to check the error message.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from urllib.request import Request, urlopen

import topfive

TOPFIVE = Path(sys.executable).with_name("topfive")
PAGES = ("/", "/static/page/page.js", "/docs", "/static/swagger/swagger-ui-bundle.js")
PATHS = ("/v2/health/ready", "/metrics", "/openapi.json", *PAGES)


def main() -> None:
    """See above."""
    photo = Path(sys.argv[1]).read_bytes()
    installed = Path(topfive.__file__).parent
    assert "site-packages" in installed.parts, f"the sources were imported, not the wheel: {installed}"
    assert metadata.version("topfive") == topfive.__version__, "the wheel and the package disagree on the version"
    says_what_it_is()
    serves(photo)
    pip = (sys.executable, "-m", "pip", "--quiet")
    subprocess.run([*pip, "uninstall", "--yes", "onnxruntime"], check=True)
    says_what_it_is()
    ended = subprocess.run([TOPFIVE], capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 2, ended
    assert "pip install" in ended.stderr, ended.stderr
    assert "Traceback" not in ended.stderr, ended.stderr
    print(f"topfive {topfive.__version__} on Python {sys.version.split()[0]}: installed, started, answered and stopped")


def says_what_it_is() -> None:
    """Check `--version` and `--help`."""
    for flag, expected in (("--version", f"topfive {topfive.__version__}"), ("--help", "--model-repository")):
        said = subprocess.run([TOPFIVE, flag], capture_output=True, text=True, check=True, timeout=60).stdout
        assert expected in said, said


def serves(photo: bytes) -> None:
    """Check that the reference model is served without any setting but free ports."""
    command = [TOPFIVE, "--port", "0", "--grpc-port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        assert server.stdout is not None
        try:
            url, line = None, ""
            for line in server.stdout:
                if found := re.search(r"listening on (http://[^\s\"]+)", line):
                    url = found[1]
                if url and "the service is ready" in line:
                    break
            else:
                sys.exit(f"topfive ended with {server.wait()} before it was ready; its last line was: {line}")
            for path in PATHS:
                with urlopen(url + path) as answer:
                    assert answer.status == 200, f"{path} answered {answer.status}"
            with urlopen(Request(url + "/v1/classify", photo, {"Content-Type": "image/jpeg"})) as answer:
                best = json.load(answer)["predictions"][0]
            assert best["label"] == "espresso", best
            server.terminate()
            assert server.wait(timeout=30) == 0, f"topfive ended with {server.returncode} after SIGTERM"
        finally:
            server.kill()


if __name__ == "__main__":
    main()
