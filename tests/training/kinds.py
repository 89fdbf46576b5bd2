"""Teachers of every kind that training/README.md names, each small, with random weights.

Knows nothing about the code under test: everything here is made and saved by `transformers` alone.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers as tf

TINY = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
PATCHES = {"image_size": 32, "patch_size": 8}
STAGES = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"}
SQUARE, EDGE = {"height": 32, "width": 32}, {"shortest_edge": 36}
VOCABULARY = 200

CLASSIFIERS: dict[str, tuple[str, str, dict[str, Any], str, dict[str, Any]]] = {
    "ViT": ("ViTForImageClassification", "ViTConfig", {**TINY, **PATCHES}, "ViT", {"size": SQUARE}),
    "ViT, not normalised": ("ViTForImageClassification", "ViTConfig", {**TINY, **PATCHES}, "ViT",
                            {"size": SQUARE, "do_normalize": False}),
    "ViT, not rescaled": ("ViTForImageClassification", "ViTConfig", {**TINY, **PATCHES}, "ViT",
                          {"size": SQUARE, "do_rescale": False}),
    "ViT, nearest": ("ViTForImageClassification", "ViTConfig", {**TINY, **PATCHES}, "ViT",
                     {"size": SQUARE, "resample": 0, "rescale_factor": 1 / 127.5}),
    "DeiT": ("DeiTForImageClassificationWithTeacher", "DeiTConfig", {**TINY, **PATCHES}, "DeiT",
             {"size": {"height": 40, "width": 40}, "crop_size": SQUARE}),
    "Swin": ("SwinForImageClassification", "SwinConfig",
             {"image_size": 32, "patch_size": 2, "embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2],
              "window_size": 4},
             "ViT", {"size": SQUARE}),
    "BEiT": ("BeitForImageClassification", "BeitConfig", {**TINY, **PATCHES}, "Beit",
             {"size": {"height": 40, "width": 40}, "crop_size": SQUARE}),
    "ConvNeXt": ("ConvNextForImageClassification", "ConvNextConfig",
                 {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1]}, "ConvNext", {"size": {"shortest_edge": 32}}),
    "ResNet": ("ResNetForImageClassification", "ResNetConfig", STAGES, "ConvNext", {"size": {"shortest_edge": 32}}),
    "MobileViT": ("MobileViTForImageClassification", "MobileViTConfig",
                  {"image_size": 64, "hidden_sizes": [8, 8, 8], "neck_hidden_sizes": [8] * 7, "num_attention_heads": 2},
                  "MobileViT", {"size": {"shortest_edge": 72}, "crop_size": {"height": 64, "width": 64}}),
    "EfficientNet": ("EfficientNetForImageClassification", "EfficientNetConfig",
                     {"image_size": 32, "width_coefficient": 0.1, "depth_coefficient": 0.1, "hidden_dim": 128},
                     "EfficientNet", {"size": SQUARE}),
    "DINOv2": ("Dinov2ForImageClassification", "Dinov2Config", {**TINY, **PATCHES, "mlp_ratio": 1}, "Bit",
               {"size": EDGE, "crop_size": SQUARE}),
    "CLIP classifier": ("CLIPForImageClassification", "CLIPConfig", {}, "CLIP", {"size": EDGE, "crop_size": SQUARE}),
    "SigLIP classifier": ("SiglipForImageClassification", "SiglipConfig", {}, "Siglip", {"size": SQUARE}),
}  # fmt: skip
ZERO_SHOT = {
    "CLIP": ("CLIPModel", "CLIPConfig", "CLIP", {"size": EDGE, "crop_size": SQUARE}),
    "SigLIP": ("SiglipModel", "SiglipConfig", "Siglip", {"size": SQUARE}),
}
KINDS = (*CLASSIFIERS, *ZERO_SHOT)


def make(kind: str, folder: Path, names: Sequence[str] = (), seed: int = 0) -> Path:
    """Save a teacher of this kind; names: of its classes, LABEL_0 ... LABEL_9 where there are none."""
    torch.manual_seed(seed)
    labels = dict(enumerate(names)) or {k: f"LABEL_{k}" for k in range(10)}
    if kind in ZERO_SHOT:
        network, config, processor, settings = ZERO_SHOT[kind]
        own: dict[str, Any] = {}
    else:
        network, config, own, processor, settings = CLASSIFIERS[kind]
    if config in ("CLIPConfig", "SiglipConfig"):
        text = {**TINY, "vocab_size": VOCABULARY, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
        length = 24 if config == "SiglipConfig" else 77
        own = {"text_config": {**text, "max_position_embeddings": length}, "vision_config": {**TINY, **PATCHES}}
    own |= {} if kind in ZERO_SHOT else {"id2label": labels, "label2id": {v: k for k, v in labels.items()}}
    model = getattr(tf, network)(getattr(tf, config)(**own)).eval()
    for name, parameter in model.named_parameters():  # untrained networks hardly tell images apart: make them
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=1.6 / parameter[0].numel() ** 0.5)
        elif "bias" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    norms = [one for one in model.modules() if isinstance(one, torch.nn.BatchNorm2d)]
    for one in norms:
        one.momentum = 1.0
        torch.nn.init.ones_(one.weight)
    if norms:  # without statistics of its own, a deep stack lets nothing through
        with torch.no_grad():
            model.train()(pixel_values=torch.randn(8, 3, 64, 64))
    model.save_pretrained(folder)
    getattr(tf, f"{processor}ImageProcessorPil")(**settings).save_pretrained(folder)
    if kind in ZERO_SHOT:
        tokenizer(folder)
    return folder


def tokenizer(folder: Path) -> None:
    """A tokenizer of letters, of CLIP's kind: any word is its letters."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,'-"
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    tf.CLIPTokenizer(vocab={word: k for k, word in enumerate(words)}, merges=[], model_max_length=77).save_pretrained(
        folder
    )
