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


def test_torchs_compiler_is_not_imported_before_it_is_needed_and_works_then() -> None:
    program = (
        "import sys\n"
        "from edge_sdk.networks.timm_library import import_timm\n"
        "import_timm()\n"
        "assert 'torch._dynamo' not in sys.modules, 'imported for nothing'\n"
        "import torch\n"
        "from torchvision.ops.roi_align import is_compile_supported\n"
        "from timm.models.naflexvit import NaFlexRopeIterator\n"
        "assert is_compile_supported('cpu') in (True, False)\n"
        "assert torch._dynamo.__file__ and torch._dynamo.disable(len)('abc') == 3\n"
        "assert torch.compiler.disable(len)('abc') == 3\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
