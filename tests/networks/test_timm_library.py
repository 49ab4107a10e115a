"""timm is imported in one place, also beside a torchvision that does not fit."""

import subprocess
import sys


def test_timm_imports_in_a_fresh_interpreter_whatever_torchvision() -> None:
    program = (
        "from edge_sdk.networks.timm_library import import_timm, _declared\n"
        "assert import_timm().is_model('resnet18')\n"
        "import_timm()\n"
        "import torch, torchvision\n"
        "assert len(_declared) <= 1\n"
        "assert hasattr(torch.ops.torchvision, 'nms')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
