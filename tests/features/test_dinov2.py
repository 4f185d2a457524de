"""DINOv2's transformer, against torch's own layers."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.functional import interpolate

from gantrain.features.dinov2 import DEPTH, HEADS, WIDTH, Dinov2, VisionTransformer
from gantrain.features.tools.pictures import IMAGENET_MEAN, IMAGENET_STD, levels, resize, standardise

OWN = {  # names of torch's layer for those of the published file
    "self_attn.in_proj_": "attn.qkv.",
    "self_attn.out_proj.": "attn.proj.",
    "linear1.": "mlp.fc1.",
    "linear2.": "mlp.fc2.",
    "norm1.": "norm1.",
    "norm2.": "norm2.",
}


def reference(weights, x):
    """Return the class token by layers of torch, into which the factors of each block are multiplied."""
    x = nn.functional.conv2d(
        x, weights["patch_embed.proj.weight"], weights["patch_embed.proj.bias"], stride=14
    )
    grid = weights["pos_embed"][:, 1:].view(1, 37, 37, WIDTH).permute(0, 3, 1, 2)
    positions = interpolate(grid, scale_factor=16.1 / 37, mode="bicubic").flatten(2).transpose(1, 2)
    first = (weights["cls_token"] + weights["pos_embed"][:, :1]).expand(len(x), 1, WIDTH)
    x = torch.cat([first, x.flatten(2).transpose(1, 2) + positions], 1)
    for i in range(DEPTH):
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 4 * WIDTH, 0.0, "gelu", 1e-6, True, True).eval()
        own = {
            f"{a}{kind}": weights[f"blocks.{i}.{b}{kind}"]
            for a, b in OWN.items()
            for kind in ("weight", "bias")
        }
        for name, scale in (("self_attn.out_proj", "ls1"), ("linear2", "ls2")):
            factor = weights[f"blocks.{i}.{scale}.gamma"]
            own[f"{name}.weight"] = own[f"{name}.weight"] * factor[:, None]
            own[f"{name}.bias"] = own[f"{name}.bias"] * factor
        layer.load_state_dict(own)
        x = layer(x)
    return nn.functional.layer_norm(x[:, 0], (WIDTH,), weights["norm.weight"], weights["norm.bias"], 1e-6)


@pytest.mark.slow
def test_features_are_those_of_torchs_layers(tmp_path, monkeypatch):
    weights = {
        name: 0.2 * torch.randn(tensor.shape) for name, tensor in VisionTransformer().state_dict().items()
    }
    assert len(weights) == 175  # as in the published file
    assert weights["blocks.11.attn.qkv.weight"].shape == (1152, 384)
    assert weights["pos_embed"].shape == (1, 1370, 384)
    save_file(weights, tmp_path / "w.safetensors")
    monkeypatch.setattr(Dinov2, "sha256", "")
    extractor = Dinov2(weights=str(tmp_path / "w.safetensors")).load(None).eval()
    x = torch.rand(2, 3, 40, 50) * 2 - 1
    with torch.inference_mode():
        found = extractor(x)
        shown = standardise(resize(levels(x), 224), IMAGENET_MEAN, IMAGENET_STD)
        torch.testing.assert_close(found, reference(weights, shown), atol=1e-4, rtol=1e-4)
    assert found.shape == (2, extractor.dimension)
    assert "224 x 224" in extractor.protocol["preprocessing"]
