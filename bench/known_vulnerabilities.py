"""`make audit`: ask for known vulnerabilities of everything that is pinned; exit 1 if there is one.

pip-audit asks the package index. Where none answers (a closed network) it checks nothing, and that is said;
`AUDIT_REQUIRED=1` makes that a failure too. A vulnerability that cannot be mended yet is listed in ACCEPTED
with its reason, and is printed each time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

ACCEPTED: dict[str, str] = {}  # id of the vulnerability -> why it does not concern us, or until when


def main() -> int:
    done = subprocess.run(
        [sys.executable, "-m", "pip_audit", "-r", "requirements.lock", "--disable-pip", "--require-hashes",
         "--format", "json", "--progress-spinner", "off"],
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        print(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "pip-audit said nothing.")
        packages = []
    checked = [package for package in packages if "skip_reason" not in package]
    found = [(package, hole) for package in checked for hole in package["vulns"]]
    for package, hole in found:
        why = ACCEPTED.get(hole["id"], "NOT ACCEPTED")
        print(
            f"{package['name']} {package['version']}: {hole['id']}, mended in {hole['fix_versions']}: {why}"
        )
    print(f"{len(checked)} of {len(packages)} packages checked, {len(found)} known vulnerabilities.")
    if not checked:
        print("No index with vulnerability data answered: nothing was checked here.")
        return int(os.environ.get("AUDIT_REQUIRED") == "1")
    return int(any(hole["id"] not in ACCEPTED for _package, hole in found))


if __name__ == "__main__":
    sys.exit(main())
