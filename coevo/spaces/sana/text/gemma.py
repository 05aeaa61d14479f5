"""Gemma-2 as the released models read it (Sana, arXiv 2410.10629, section 2.3), where the user has its weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from coevo.errors import InputError, missing_extra

MOST_TOKENS = 300
INSTRUCTION = "\n".join(
    [
        "Given a user prompt, generate an 'Enhanced prompt' that provides detailed visual descriptions suitable for "
        "image generation. Evaluate the level of detail in the user prompt:",
        "- If the prompt is simple, focus on adding specifics about colors, shapes, sizes, textures, and spatial "
        "relationships to create vivid and concrete scenes.",
        "- If the prompt is already detailed, refine and enhance the existing details slightly without "
        "overcomplicating.",
        "Here are examples of how to transform or refine prompts:",
        "- User Prompt: A cat sleeping -> Enhanced: A small, fluffy white cat curled up in a round shape, sleeping "
        "peacefully on a warm sunny windowsill, surrounded by pots of blooming red flowers.",
        "- User Prompt: A busy city street -> Enhanced: A bustling city street scene at dusk, featuring glowing street "
        "lamps, a diverse crowd of people in colorful clothing, and a double-decker bus passing by towering glass "
        "skyscrapers.",
        "Please generate only the enhanced description for the prompt below and avoid including any additional "
        "commentary or evaluations:",
        "User Prompt: ",
    ]
)
"""The complex human instruction before every prompt, word for word as the released models were trained with it."""


class GemmaEncoder:
    """Prompts to the last hidden state of a decoder.

    Args:
        tokenizer, model: of `transformers`: a tokenizer, and a decoder without a head whose first output is the last
            hidden state.
        most_tokens: of a prompt that the transformer reads.
    """

    def __init__(self, tokenizer: Any, model: Any, most_tokens: int = MOST_TOKENS) -> None:
        tokenizer.padding_side = "right"
        self.tokenizer, self.model, self.most_tokens = tokenizer, model, most_tokens

    @classmethod
    def load(cls, folder: Path | str, dtype: torch.dtype = torch.bfloat16) -> GemmaEncoder:
        """From a folder with a tokenizer and weights (as `text_encoder` and `tokenizer` of a Sana folder, or one of
        both). Nothing is downloaded.

        Raises:
            MissingExtra: transformers is not installed.
            InputError: the folder is not there, or holds no such model.
        """
        home = Path(folder)
        if not home.is_dir():
            raise InputError(f"{home}: expected a folder with Gemma-2's weights and tokenizer; it is not there")
        try:
            from transformers import AutoModel, AutoTokenizer
        except ImportError:
            raise missing_extra("transformers", "gemma") from None
        words, weights = (home / name if (home / name).is_dir() else home for name in ("tokenizer", "text_encoder"))
        try:
            tokenizer = AutoTokenizer.from_pretrained(str(words), local_files_only=True)
            model = AutoModel.from_pretrained(str(weights), dtype=dtype, local_files_only=True, use_safetensors=True)
        except (OSError, ValueError) as error:
            raise InputError(f"{home} holds no text model that transformers can open: {error}") from None
        return cls(tokenizer, model.eval())

    @torch.no_grad()
    def encode(self, prompts: Sequence[str], *, instruct: bool = True) -> tuple[Tensor, Tensor]:
        """Features [B, most_tokens, channels] and mask bool [B, most_tokens] of prompts.

        Args:
            instruct: the instruction before each prompt, as for what guidance steers to; the negative prompt has none.
        """
        if not prompts:
            raise InputError("Gemma: expected at least one prompt, got none")
        texts = [each.lower().strip() for each in prompts]
        length = self.most_tokens
        if instruct:
            texts = [INSTRUCTION + each for each in texts]
            length += len(self.tokenizer.encode(INSTRUCTION)) - 2  # of the prefix, its first token stays
        read = self.tokenizer(
            texts, padding="max_length", max_length=length, truncation=True, add_special_tokens=True,
            return_tensors="pt",
        )  # fmt: skip
        device = next(self.model.parameters()).device
        mask = read["attention_mask"].to(device)
        states = self.model(read["input_ids"].to(device), attention_mask=mask)[0]
        kept = [0, *range(length - self.most_tokens + 1, length)]  # the beginning, and what stands after the prefix
        return states[:, kept], mask[:, kept].bool()
