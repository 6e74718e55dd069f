"""Writes an image archive of one program, as container runtimes import it, without a daemon."""

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any, Final

CONFIG: Final = "application/vnd.oci.image.config.v1+json"
INDEX: Final = "application/vnd.oci.image.index.v1+json"
LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"


def write_image(file: Path, name: str, program: Path, architecture: str) -> None:
    """Write the OCI archive `file`: an image that holds `program` alone, and runs it."""
    entry = f"/{program.name}"
    layer = _tar({program.name: program.read_bytes()}, mode=0o755)
    blobs: dict[str, bytes] = {}

    def blob(data: bytes, media_type: str) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = data
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    described = blob(layer, LAYER)
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Entrypoint": [entry]},
        "rootfs": {"type": "layers", "diff_ids": [described["digest"]]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": blob(json.dumps(config).encode(), CONFIG),
        "layers": [described],
    }
    named = blob(json.dumps(manifest).encode(), MANIFEST)
    named["annotations"] = {
        "io.containerd.image.name": name,
        "org.opencontainers.image.ref.name": name,
    }
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [named]}
    layout = b'{"imageLayoutVersion": "1.0.0"}'
    files = {"oci-layout": layout, "index.json": json.dumps(index).encode(), **blobs}
    file.write_bytes(_tar(files, mode=0o644))


def _tar(files: dict[str, bytes], mode: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), mode
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()
