"""What a zero-shot teacher is asked about each class, as the tokens of its own tokenizer.

Knows nothing about networks or pixels.
"""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from common.errors import ConfigError, ModelError
from training.data.foreign import one_line, refuse_pointer
from training.teachers.columns import shown

PROMPT = "a photo of a {}."
FILES = ("tokenizer.json", "vocab.json", "vocab.txt", "spiece.model", "sentencepiece.bpe.model")
"""A tokenizer has one of these; without any, `transformers` makes one up that knows no word."""
BESIDE = ("merges.txt", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")


def tokenizer_sha256(folder: Path) -> str:
    """Of the tokenizer's files: other tokens are another teacher. ModelError where there are none."""
    there = [folder / name for name in FILES if (folder / name).is_file()]
    if not there:
        raise ModelError(f"{folder} has no tokenizer ({', '.join(FILES[:4])}), and a zero-shot teacher needs its own; "
                         "copy it from where the teacher was published, or save its AutoTokenizer there")  # fmt: skip
    digest = hashlib.sha256()
    for path in there + [folder / name for name in BESIDE if (folder / name).is_file()]:
        refuse_pointer(path, ModelError, "copy it again")
        digest.update(path.read_bytes())
    return digest.hexdigest()


def load_prompts(folder: Path, config: Any, classes: Sequence[str]) -> dict[str, Tensor]:
    """PROMPT about each class, int64 [classes, L] by argument. ConfigError where two classes would be asked alike."""
    from transformers import AutoTokenizer

    if ids := [name for name in classes if re.fullmatch(r"n\d{8}", name)]:
        raise ConfigError(f"{folder} is asked by the names of classes, and {shown(ids)} are WordNet ids, which no text "
                          "model knows; give the classes their names")  # fmt: skip
    words_of = [re.sub(r", n\d{8}$", "", name) for name in classes]  # a text model is not asked for WordNet ids
    texts = [PROMPT.format(name.replace("_", " ")) for name in words_of]
    # SigLIP's texts were padded to their full length in training, and its answers depend on it.
    whole = str(config.model_type).startswith("siglip")
    longest = int(config.text_config.max_position_embeddings)
    settings: dict[str, Any] = {"padding": "max_length", "max_length": longest} if whole else {"padding": True}
    remedy = "copy the tokenizer's files again"
    with one_line(f"the tokenizer of {folder} cannot be used", ModelError, remedy):
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        tokens: dict[str, Tensor] = dict(tokenizer(texts, return_tensors="pt", **settings))
    words = tokens["input_ids"]
    if int(words.max()) >= config.text_config.vocab_size or words.shape[1] > longest:
        raise ModelError(
            f"the tokenizer of {folder} gives tokens up to {int(words.max())} and {words.shape[1]} of them, more than "
            "its text network knows; copy tokenizer and weights of one teacher"
        )
    rows = [tuple(row) for row in words.tolist()]
    for k, row in enumerate(rows):
        if rows.index(row) != k:
            raise ConfigError(f"{folder} reads '{texts[rows.index(row)]}' and '{texts[k]}' as the same tokens; give "
                              "classes names that differ, or the teacher its own tokenizer")  # fmt: skip
    return tokens
