"""timm is loaded in one place, also beside a torchvision that does not fit."""

import subprocess
import sys


def test_timm_is_imported_once_and_makes_networks() -> None:
    program = """
from edge_sdk.networks.timm_library import import_timm
timm = import_timm()
assert import_timm() is timm
assert timm.create_model("lcnet_035", num_classes=3).num_classes == 3
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
