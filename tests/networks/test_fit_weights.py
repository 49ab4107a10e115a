import copy
import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from weight_files import Small, SmallByOtherNames, trained

from edge_sdk.networks.fit_weights import DoesNotFit, fit_weights, prefixes_of

NETWORK = trained(Small())
STATE = NETWORK.state_dict()


def loaded(tensors: dict[str, torch.Tensor], *, ordered: bool = True) -> tuple[nn.Module, str]:
    network = Small()
    fitted = fit_weights(tensors, network, ordered=ordered)
    missing = network.load_state_dict(fitted.state, strict=False).missing_keys
    assert all(name.endswith("num_batches_tracked") for name in missing)
    return network, fitted.how


def same(network: nn.Module) -> bool:
    own = network.state_dict()
    return all(torch.equal(own[name], STATE[name]) for name in STATE if "num_batches" not in name)


@pytest.mark.parametrize(
    "prefix", ["", "module.", "model.", "backbone.", "_orig_mod.", "module._orig_mod.", "net.encoder.0."]
)
@pytest.mark.parametrize("counted", [True, False])
def test_prefixes_do_not_matter(prefix: str, counted: bool) -> None:
    tensors = {prefix + name: value for name, value in STATE.items() if counted or "num_batches" not in name}
    network, how = loaded(tensors, ordered=False)
    assert how == "names" and same(network)
    if counted:
        assert int(network.state_dict()["norm.num_batches_tracked"]) == 7


def test_a_wrapper_within_the_names_does_not_matter() -> None:
    tensors = {name.replace("body.", "body._orig_mod."): value for name, value in STATE.items()}
    assert same(loaded(tensors, ordered=False)[0])


def test_a_head_beside_the_backbone_is_found() -> None:
    tensors = {(name if "head" in name else f"backbone.{name}"): value for name, value in STATE.items()}
    assert same(loaded(tensors, ordered=False)[0])


def test_what_lies_outside_of_the_network_is_left_out_and_told() -> None:
    tensors = {f"model.{name}": value for name, value in STATE.items()}
    tensors |= {"criterion.weight": torch.ones(3), "model.norm.total_ops": torch.ones(1, dtype=torch.float64)}
    fitted = fit_weights(tensors, Small(), ordered=False)
    assert fitted.prefix == "model." and fitted.left_out == ("criterion.weight", "model.norm.total_ops")


def test_other_names_in_the_same_order_are_mapped() -> None:
    other = SmallByOtherNames()
    state = {
        name: value.reshape(own.shape)
        for (name, own), value in zip(other.state_dict().items(), STATE.values(), strict=True)
    }
    fitted = fit_weights(state, Small(), ordered=True)
    assert fitted.how == "order" and ("features.0.0.weight", "stem.weight") in fitted.pairs
    network, _ = loaded(state)
    assert same(network)
    picture = torch.randn(2, 6, 1, 1)
    other.load_state_dict(state)
    assert torch.allclose(other.classifier(picture).flatten(1), network.head(picture.flatten(1)), atol=1e-6)  # type: ignore[operator]
    with pytest.raises(DoesNotFit, match="lacks"):  # the order of such a file means nothing
        fit_weights(state, Small(), ordered=False)


def test_statistics_and_weights_are_never_confused_whatever_their_order() -> None:
    """All four tensors of a batch normalisation have one shape: their last names say which is which."""
    layers = [["stem"], ["norm"], ["body.0"], ["body.1"], ["head"]]
    state = {}
    for (layer,) in layers:
        names = [name for name in STATE if name.rpartition(".")[0] == layer]
        for name in sorted(names):  # bias before weight, running_mean between them
            state[f"other_{name}"] = STATE[name]
    network, how = loaded(state)
    assert how == "order" and same(network)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["drop", "shape", "surplus", "swap", "rename"]))
def test_nothing_is_loaded_in_part(seed: int, change: str) -> None:
    """One tensor too few, too many or of another shape: an error, by name and by order; the state stays as it was."""
    pick = random.Random(seed)
    other = pick.random() < 0.5
    state = {
        (f"x{number}.{name.rpartition('.')[2]}" if other else name): v for number, (name, v) in enumerate(STATE.items())
    }
    weights = [name for name in state if "num_batches" not in name]
    victim = pick.choice(weights)
    if change == "drop":
        del state[victim]
    elif change == "shape":
        state[victim] = torch.cat([state[victim], state[victim]])
    elif change == "surplus":
        state[f"{victim.rpartition('.')[0]}.extra"] = torch.ones(2)
    elif change == "swap":
        conv, linear = (name for name in weights if state[name].ndim > 1 and state[name].shape[0] in (4, 3))
        state[conv], state[linear] = state[linear], state[conv]
    else:
        if other:
            return
        state = {(f"other.{name}" if name == victim else name): value for name, value in state.items()}
    network = Small()
    before = copy.deepcopy(network.state_dict())
    with pytest.raises(DoesNotFit) as error:
        fit_weights(state, network, ordered=change != "rename")
    assert 0 <= error.value.fitting < 1
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_a_deeper_network_is_not_taken_for_a_shallower_one() -> None:
    """All names of the shallower one are in the deeper one's file, with the right shapes."""
    deeper = {**STATE, "body.3.weight": torch.ones(6, 6, 1, 1), "body.3.bias": torch.ones(6)}
    with pytest.raises(DoesNotFit, match=r"2 tensors more: body\.3\.weight"):
        fit_weights(deeper, Small(), ordered=True)


def test_prefixes() -> None:
    assert prefixes_of(["a.b.c", "a.b.d", "a.e"]) == ["", "a.", "a.b."]
    assert prefixes_of(["x", "y"]) == [""]
