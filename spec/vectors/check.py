"""Reads vectors/list.json and map.json with spec/strongroom_open.py: `python spec/vectors/check.py`. Exits with 1 if they disagree."""

import json
import pathlib
import sys
import tempfile

SPEC = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(SPEC))

from cryptography.exceptions import InvalidTag  # noqa: E402
from strongroom_open import Corrupt, Version  # noqa: E402


def read(name, case, path):
    path.write_bytes(bytes.fromhex(case["object"]))
    version = Version(path.parent, path, {f"{name}_key": case[f"{name}_key"]})
    return [entry for _, entry in (version.names() if name == "list" else version.places())]


def plain(value):
    return [plain(v) for v in value] if isinstance(value, list) else value.hex() if isinstance(value, bytes) else value


def main():
    wrong, count = [], 0
    with tempfile.TemporaryDirectory() as folder:
        for name in ("list", "map"):
            for case in json.loads((SPEC.parent / "vectors" / f"{name}.json").read_text())["cases"]:
                count += 1
                try:
                    good = plain(read(name, case, pathlib.Path(folder, "object"))) == case.get("entries")
                except (Corrupt, InvalidTag):
                    good = case["expect"] == "error"
                if not good:
                    wrong.append(f"{name}: {case['name']}")
    print(f"{count} cases, {len(wrong)} wrong", *wrong, sep="\n")
    sys.exit(1 if wrong or count < 60 else 0)


if __name__ == "__main__":
    main()
