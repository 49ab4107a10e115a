from edge_sdk.networks.signature import is_weight, signature_of, squeezed, unwrapped

SHAPES = {"a.weight": (4, 3, 1, 1), "a.num_batches_tracked": (), "fc.weight": (10, 4), "fc.bias": (10,)}


def test_the_classifier_and_counters_do_not_count() -> None:
    one = signature_of(SHAPES, ("fc",))
    other = signature_of({**SHAPES, "fc.weight": (7, 4), "fc.bias": (7,)}, ("fc",))
    assert one == other and (one.tensors, one.parameters) == (1, 12)


def test_names_and_order_are_told_apart() -> None:
    renamed = {f"b{name}": shape for name, shape in SHAPES.items()}
    one, two = signature_of(SHAPES, ("fc",)), signature_of(renamed, ("bfc",))
    assert one.order == two.order and one.names != two.names
    flat = signature_of({**SHAPES, "a.weight": (4, 3)}, ("fc",))
    assert flat.order == one.order and flat.names != one.names


def test_parts() -> None:
    assert squeezed((4, 3, 1, 1)) == (4, 3) and squeezed((1, 1)) == () and squeezed((1, 4)) == (1, 4)
    assert unwrapped("module._orig_mod.a.module.b") == "a.b" and unwrapped("my_module.b") == "my_module.b"
    assert not is_weight("a.num_batches_tracked") and is_weight("a.running_var")
