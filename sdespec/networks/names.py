"""What the name of a tensor says about its role in the network."""

from __future__ import annotations

import re

__all__ = ["channels_last", "is_buffer", "is_embedding", "is_optimizer", "is_quantised", "module_and_leaf"]

_SEPARATORS = re.compile(r"[./:]")
_LEAVES = frozenset({"weight", "kernel", "weights", "w", "W"})

_OPTIMIZER = re.compile(
    r"(?:\w*_)?(?:optim|optimizers?|optimizer_states?|opt_state)$"
    r"|(?:max_)?exp_avg(?:_sq)?$|exp_inf$|momentum_buffer$|square_avg$|grad_avg$|acc_delta$"
    r"|(?:Adam|AdamW|Adagrad|Momentum|RMSProp|Adadelta)(?:_\d+)?$",
)
_BUFFER = re.compile(
    r"running_(?:mean|var)$|num_batches_tracked$|position_ids$|token_type_ids$|position_index$"
    r"|relative_position_index$|relative_coords_table$|inv_freq$|freqs_cis$|(?:cos|sin)_cached$"
    r"|(?:\w*_)?masks?$|masked_bias$|alibi$|pe$|attn_bias$|(?:i?stft|mel|dct|cqt)(?:_\w+)?$|window$|fbank$",
)
_QUANTISED = re.compile(
    r"qweight$|qzeros$|g_idx$|scales$|zeros$|absmax$|nested_absmax$|quant_(?:map|state)\w*$|weight_packed$|SCB$"
    r"|weight_(?:scale|scale_inv|zero_point|shape)$"
)
_EMBEDDING = re.compile(
    r"(?:\w+_)?emb(?:ed(?:s|der|dings?)?|s)?(?:_tokens|_positions|_in)?(?:_table)?$"
    r"|(?:\w+_)?embeddings?(?:_\w+)?$|wte$|wpe$|shared$"
)


def components(name: str) -> list[str]:
    """Parts of a dotted (or slashed) name."""
    return [part for part in _SEPARATORS.split(name) if part]


def module_and_leaf(name: str) -> tuple[str, str]:
    """Name of the module and of its parameter: ``"h.0.attn.c_attn.weight"`` gives ``("c_attn", "weight")``.

    Examples
    --------
    >>> module_and_leaf("encoder.w_hh")
    ('encoder', 'w_hh')
    """
    parts = components(name)
    return (parts[-2] if len(parts) > 1 else "", parts[-1] if parts else "")


def _noun(name: str) -> str:
    """The part that names the thing: the module of a ``weight``, else the last part."""
    module, leaf = module_and_leaf(name)
    return module if leaf in _LEAVES and module else leaf


def is_optimizer(name: str) -> bool:
    """State of an optimiser, such as the moments of Adam.

    Examples
    --------
    >>> is_optimizer("optimizer_state.state.3.exp_avg"), is_optimizer("layers.0.weight")
    (True, False)
    """
    return any(_OPTIMIZER.match(part) for part in components(name))


def is_buffer(name: str, shape: tuple[int, ...]) -> bool:
    """A fixed table, a running statistic or a mask; also the square causal mask that is named ``attn.bias``.

    Examples
    --------
    >>> is_buffer("bn.running_mean", (64,)), is_buffer("h.0.attn.bias", (1, 1, 16, 16)), is_buffer("fc.bias", (8,))
    (True, True, False)
    """
    module, leaf = module_and_leaf(name)
    if _BUFFER.match(leaf) or (leaf in _LEAVES and _BUFFER.match(module)):
        return True
    return leaf == "bias" and len(shape) == 4 and shape[:2] == (1, 1) and shape[2] == shape[3]


def is_quantised(name: str) -> bool:
    """A packed weight, or the scales and zero points that belong to one.

    Examples
    --------
    >>> is_quantised("layers.0.qweight")
    True
    """
    return bool(_QUANTISED.match(module_and_leaf(name)[1]))


def is_embedding(name: str) -> bool:
    """A table of embeddings.

    Examples
    --------
    >>> [is_embedding(n) for n in ("wte.weight", "embeddings.word_embeddings.weight", "enc_emb", "embed.proj.weight")]
    [True, True, True, False]
    """
    return bool(_EMBEDDING.match(_noun(name)))


def channels_last(name: str) -> bool:
    """Kernels of Keras, TensorFlow and flax, which store (..., inputs, outputs).

    Examples
    --------
    >>> channels_last("dense.kernel"), channels_last("dense.weight")
    (True, False)
    """
    leaf = module_and_leaf(name)[1].split(":")[0]
    return leaf in ("kernel", "recurrent_kernel", "depthwise_kernel")
