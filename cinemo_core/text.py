"""Sentences as the text encoder reads them."""

from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer


def tokenize(tokenizer: CLIPTokenizer, text_encoder: CLIPTextModel, prompts: list[str]) -> Tensor:
    """Token ids `(b, tokens)`, padded and cut to the encoder's length."""
    length = text_encoder.config.max_position_embeddings
    batch = tokenizer(prompts, padding="max_length", truncation=True, max_length=length, return_tensors="pt")
    tokens: Tensor = batch.input_ids
    return tokens
