"""Random quantised networks over the whole operator table, and what must hold for each of them."""

from random_networks.architecture import Drawn, networks
from random_networks.properties import PROPERTIES, check

__all__ = ["PROPERTIES", "Drawn", "check", "networks"]
