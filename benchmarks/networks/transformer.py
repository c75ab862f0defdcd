"""Encoders of transformers: ViT as in torchvision, BERT as in Hugging Face's transformers.

attention: per head  softmax(q·kᵀ / √d) · v,  with q, k, v and the output as linear layers
"""

from __future__ import annotations

from ..builder import NetworkBuilder, Tensor

# The last layer of a residual branch is small, as training leaves it: sums stay bounded.
BRANCH_GAIN = 0.5


def vit_b_16(net: NetworkBuilder) -> Tensor:
    return _vision_transformer(net, patch=16, layers=12, width=768, heads=12, classes=1000)


def mini_transformer(net: NetworkBuilder) -> Tensor:
    return _vision_transformer(net, patch=8, layers=2, width=24, heads=3, classes=10)


def bert_base(net: NetworkBuilder) -> Tensor:
    """The encoder: from embeddings (1, tokens, width) to the last hidden state."""
    return _bert(net, layers=12, heads=12)


def mini_bert(net: NetworkBuilder) -> Tensor:
    return _bert(net, layers=1, heads=3)


def _vision_transformer(
    net: NetworkBuilder, *, patch: int, layers: int, width: int, heads: int, classes: int
) -> Tensor:
    x = net.patches(net.input, "conv_proj", width, patch)
    tokens = x.value.shape[2] * x.value.shape[3]
    x = net.transpose(net.reshape(x, "reshape", (width, tokens)), "permute", (0, 2, 1))
    x = net.prepend(net.learned("class_token", (1, 1, width)), x, "concat")
    x = net.add(x, net.learned("pos_embedding", (1, tokens + 1, width)), "embedded")
    for index in range(layers):
        name = f"encoder.layer{index}"
        y = _fused_attention(net, net.layer_norm(x, f"{name}.ln_1"), f"{name}.attention", heads)
        x = net.add(y, x, f"{name}.add_1")
        y = _feed_forward(net, net.layer_norm(x, f"{name}.ln_2"), f"{name}.mlp")
        x = net.add(x, y, f"{name}.add_2")
    x = net.select(net.layer_norm(x, "encoder.ln"), "class", 1, 0)
    return net.linear(x, "head", classes)


def _bert(net: NetworkBuilder, *, layers: int, heads: int) -> Tensor:
    x = net.layer_norm(net.input, "embeddings.norm")
    for index in range(layers):
        name = f"layer{index}"
        y = _attention(net, x, f"{name}.attention", heads)
        x = net.layer_norm(net.add(y, x, f"{name}.add_1"), f"{name}.norm_1")
        y = _feed_forward(net, x, f"{name}.feed_forward")
        x = net.layer_norm(net.add(y, x, f"{name}.add_2"), f"{name}.norm_2")
    return x


def _feed_forward(net: NetworkBuilder, x: Tensor, name: str) -> Tensor:
    width = x.value.shape[-1]
    y = net.gelu(net.token_linear(x, f"{name}.up", 4 * width), f"{name}.gelu")
    return net.token_linear(y, f"{name}.down", width, BRANCH_GAIN)


def _attention(net: NetworkBuilder, x: Tensor, name: str, heads: int) -> Tensor:
    """q, k and v from a layer each; the scores are divided."""
    tokens, width = x.value.shape[1:]
    parts = []
    for part, axes in (("query", (0, 2, 1, 3)), ("key", (0, 2, 3, 1)), ("value", (0, 2, 1, 3))):
        y = net.token_linear(x, f"{name}.{part}", width)
        y = net.reshape(y, f"{name}.{part}.heads", (tokens, heads, width // heads))
        parts.append(net.transpose(y, f"{name}.{part}.transpose", axes))
    query, key, value = parts
    scores = net.matmul(query, key, f"{name}.scores")
    scores = net.divide_constant(scores, f"{name}.scaled", (width // heads) ** 0.5)
    return _attended(net, scores, value, name)


def _fused_attention(net: NetworkBuilder, x: Tensor, name: str, heads: int) -> Tensor:
    """q, k and v from one layer; q and k are multiplied, as torch's attention is exported."""
    tokens, width = x.value.shape[1:]
    depth = width // heads
    y = net.token_linear(x, f"{name}.in_proj", 3 * width)
    y = net.reshape(y, f"{name}.heads", (tokens, 3, heads, depth))
    y = net.transpose(y, f"{name}.parts", (0, 2, 3, 1, 4))
    query, key, value = (net.select(y, f"{name}.part{i}", 1, i) for i in range(3))
    query = net.multiply_constant(query, f"{name}.query", depth**-0.25)
    key = net.transpose(key, f"{name}.key.transpose", (0, 1, 3, 2))
    key = net.multiply_constant(key, f"{name}.key", depth**-0.25)
    return _attended(net, net.matmul(query, key, f"{name}.scores"), value, name)


def _attended(net: NetworkBuilder, scores: Tensor, value: Tensor, name: str) -> Tensor:
    weights = net.softmax(scores, f"{name}.softmax")
    y = net.matmul(weights, value, f"{name}.context")
    y = net.transpose(y, f"{name}.context.transpose", (0, 2, 1, 3))
    _, tokens, heads, depth = y.value.shape
    y = net.reshape(y, f"{name}.context.reshape", (tokens, heads * depth))
    return net.token_linear(y, f"{name}.out_proj", heads * depth, BRANCH_GAIN)
