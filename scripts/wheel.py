#!/usr/bin/env python3
"""Writes a wheel that carries the binary and nothing else: wheel.py BINARY FOLDER [PLATFORM]

`pip install` puts the binary beside the environment's python. The same binary gives the same bytes. PLATFORM is a platform tag, by
default that of this machine; a static binary runs anywhere: manylinux_2_17_x86_64.musllinux_1_1_x86_64.
"""

import base64
import hashlib
import pathlib
import re
import sys
import sysconfig
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
NAME = "strongroom"
SUMMARY = "Protects model artifacts and sensitive data: sealed at the source, opened only where policy allows"


def setting(name: str) -> str:
    """A word of [workspace.package]."""
    manifest = (ROOT / "Cargo.toml").read_text()
    found = re.search(rf'^{name} = "([^"]+)"', manifest.split("[workspace.package]")[1], re.M)
    if not found:
        sys.exit(f"Cargo.toml has no {name}")
    return found.group(1)


def main() -> None:
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    binary, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    platform = sys.argv[3] if len(sys.argv) == 4 else re.sub(r"[-.]", "_", sysconfig.get_platform())
    version, about = setting("version"), f"{NAME}-{setting('version')}.dist-info"
    metadata = (
        f"Metadata-Version: 2.4\nName: {NAME}\nVersion: {version}\nSummary: {SUMMARY}\n"
        f"License-Expression: {setting('license')}\nLicense-File: LICENSE\nRequires-Python: >=3.9\n"
        "Description-Content-Type: text/markdown\n\n" + (ROOT / "README.md").read_text()
    )
    tags = "".join(f"Tag: py3-none-{tag}\n" for tag in platform.split("."))
    wheel = f"Wheel-Version: 1.0\nGenerator: strongroom\nRoot-Is-Purelib: false\n{tags}"
    files = [
        (f"{NAME}-{version}.data/scripts/{NAME}", binary.read_bytes(), 0o755),
        (f"{about}/METADATA", metadata.encode(), 0o644),
        (f"{about}/WHEEL", wheel.encode(), 0o644),
        (f"{about}/licenses/LICENSE", (ROOT / "LICENSE").read_bytes(), 0o644),
    ]
    record = ""
    for path, data, _ in files:
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(data)}\n"
    files.append((f"{about}/RECORD", f"{record}{about}/RECORD,,\n".encode(), 0o644))
    folder.mkdir(parents=True, exist_ok=True)
    out = folder / f"{NAME}-{version}-py3-none-{platform}.whl"
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for path, data, mode in files:
            entry = zipfile.ZipInfo(path, date_time=(2020, 1, 1, 0, 0, 0))
            entry.external_attr = (0o100000 | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    print(out)


main()
