"""Makes the stubs of the gRPC contract when the package is built."""

from pathlib import Path
from typing import Any

from grpc_tools import protoc
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class StubsHook(BuildHookInterface[Any]):
    """Compiles ``efd/query/v1`` into the package, where its imports find it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the stubs beside the package's own modules; they are built, never committed."""
        root = Path(self.root)
        # An sdist carries the contract; in the repository it stands beside this folder.
        proto = next((folder for folder in (root / "proto", root.parent / "proto") if folder.is_dir()), None)
        if proto is None:
            raise FileNotFoundError(f"neither {root} nor the folder above it has the gRPC contract, proto/efd/query/v1")
        files = sorted(str(path.relative_to(proto)) for path in (proto / "efd/query/v1").glob("*.proto"))
        out = root / "src"
        # Google's own messages of times come with the compiler.
        folders = [f"-I{proto}", f"-I{Path(protoc.__file__).parent / '_proto'}"]
        kinds = [f"--python_out={out}", f"--pyi_out={out}", f"--grpc_python_out={out}"]
        if protoc.main(["protoc", *folders, *kinds, *files]) != 0:
            raise RuntimeError(f"protoc cannot compile {', '.join(files)}")
