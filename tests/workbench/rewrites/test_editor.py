"""Editing a captured graph."""

import torch
from torch import nn

from edge_sdk.workbench.rewrites.editor import KEEPS_FLOAT, Editor, argument, is_call, only_user, shape


def test_new_operators_know_their_shape_module_and_precision() -> None:
    network = nn.Sequential(nn.Sequential(nn.ReLU()), nn.Sigmoid())
    captured = torch.export.export(network, (torch.zeros(1, 3, 4),), strict=False).module()
    editor = Editor(captured)
    relu = next(node for node in editor.graph.nodes if is_call(node, torch.ops.aten.relu.default))
    with editor.at(relu):
        constant = editor.constant(torch.full((4,), 2.0))
        with editor.in_float():
            product = editor.call(torch.ops.aten.mul.Tensor, relu.args[0], constant)
        plain = editor.call(torch.ops.aten.neg.default, product)
    assert shape(product) == [1, 3, 4] and KEEPS_FLOAT in product.meta and KEEPS_FLOAT not in plain.meta
    assert list(product.meta["nn_module_stack"].values())[-1][0] == "0.0"
    assert only_user(product) is plain and only_user(relu) is not None
    held = editor.tensor(constant)
    assert held is not None and held.tolist() == [2.0] * 4 and editor.tensor(product) is None
    assert argument(product, 1, "other") is constant and argument(product, 2, "alpha", 1) == 1
    relu.replace_all_uses_with(plain)
    captured.recompile()
    torch.testing.assert_close(captured(torch.ones(1, 3, 4)), torch.full((1, 3, 4), -2.0).sigmoid())
