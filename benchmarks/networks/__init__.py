"""The zoo's topologies, one file per family: the known networks, and networks of a few thousand
parameters that show the same structures to a test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..builder import NetworkBuilder, Shape, Tensor
from . import densenet, efficientnet, googlenet, mobilenet, resnet, shufflenet, transformer


@dataclass(frozen=True)
class Network:
    """How to build it; the shape of its input without the batch; on how many to calibrate it."""

    build: Callable[[NetworkBuilder], Tensor]
    shape: Shape = (3, 224, 224)
    samples: int = 2


LARGE = {
    "resnet50": Network(resnet.resnet50),
    "resnet18": Network(resnet.resnet18),
    "googlenet": Network(googlenet.googlenet),
    "mobilenet_v2": Network(mobilenet.mobilenet_v2),
    "mobilenet_v3_large": Network(mobilenet.mobilenet_v3_large),
    "efficientnet_b0": Network(efficientnet.efficientnet_b0),
    "shufflenet_v2_x1_0": Network(shufflenet.shufflenet_v2_x1_0),
    "densenet121": Network(densenet.densenet121),
    "vit_b_16": Network(transformer.vit_b_16, samples=1),
    "bert_base": Network(transformer.bert_base, (128, 768), samples=1),
}
MINI = {
    name: Network(build, shape, samples=8)
    for name, build, shape in (
        ("mini_resnet", resnet.mini_resnet, (3, 24, 24)),
        ("mini_mobilenet", mobilenet.mini_mobilenet, (3, 24, 24)),
        ("mini_swish_se", efficientnet.mini_swish_se, (3, 24, 24)),
        ("mini_concat", googlenet.mini_concat, (3, 24, 24)),
        ("mini_hard_swish", mobilenet.mini_hard_swish, (3, 24, 24)),
        ("mini_shuffle", shufflenet.mini_shuffle, (3, 24, 24)),
        ("mini_dense", densenet.mini_dense, (3, 24, 24)),
        ("mini_transformer", transformer.mini_transformer, (3, 24, 24)),
        ("mini_bert", transformer.mini_bert, (10, 24)),
    )
}
NETWORKS = {**LARGE, **MINI}
