"""Random quantised networks over the whole operator table, and what must hold for each of them."""

import contextlib
import importlib
import pkgutil

import onnx2snn
from random_networks.architecture import Drawn, files, networks
from random_networks.foreign import FOREIGN
from random_networks.properties import PROPERTIES, check

__all__ = ["FOREIGN", "PROPERTIES", "Drawn", "check", "files", "networks"]

# hypothesis draws some numbers from the constants of the project's modules that are loaded: all are, so that a seed draws the
# same networks whatever ran before.
for _module in pkgutil.walk_packages(onnx2snn.__path__, "onnx2snn."):
    with contextlib.suppress(ImportError):  # of an extra that is not installed
        importlib.import_module(_module.name)
