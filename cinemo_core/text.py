"""Tokenizes and encodes prompts; those longer than the text encoder's context are encoded in chunks."""

import torch
from einops import rearrange
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

END_OF_WORD = "</w>"


def tokenize(tokenizer: CLIPTokenizer, text_encoder: CLIPTextModel, prompts: list[str]) -> Tensor:
    """Token ids `(b, tokens)`, padded and truncated to the encoder's length."""
    length = text_encoder.config.max_position_embeddings
    batch = tokenizer(prompts, padding="max_length", truncation=True, max_length=length, return_tensors="pt")
    tokens: Tensor = batch.input_ids
    return tokens


def encode(tokenizer: CLIPTokenizer, text_encoder: CLIPTextModel, prompts: list[str], device: torch.device) -> Tensor:
    """Text states `(b, chunks * tokens, d)` of whole prompts, in as many chunks as the longest prompt needs."""
    length = text_encoder.config.max_position_embeddings
    chunks = [chunks_of(tokenizer, prompt, length - 2) for prompt in prompts]
    most = max(map(len, chunks))
    tokens = [framed(tokenizer, part, length) for own in chunks for part in (*own, *[[]] * (most - len(own)))]
    states: Tensor = text_encoder(torch.tensor(tokens, device=device)).last_hidden_state
    return rearrange(states, "(b chunks) tokens d -> b (chunks tokens) d", chunks=most)


def chunks_of(tokenizer: CLIPTokenizer, prompt: str, room: int) -> list[list[int]]:
    """Split the prompt's token ids into chunks of at most `room`, between words if possible."""
    ids: list[int] = tokenizer(prompt, add_special_tokens=False, verbose=False).input_ids
    words, parts = tokenizer.convert_ids_to_tokens(ids), []
    while len(ids) > room:
        ends = [place for place in range(1, room + 1) if words[place - 1].endswith(END_OF_WORD)]
        cut = ends[-1] if ends else room
        parts.append(ids[:cut])
        ids, words = ids[cut:], words[cut:]
    return [*parts, ids]


def framed(tokenizer: CLIPTokenizer, ids: list[int], length: int) -> list[int]:
    """Token ids enclosed in begin and end tokens, padded."""
    marked = [tokenizer.bos_token_id, *ids, tokenizer.eos_token_id]
    return marked + [tokenizer.pad_token_id] * (length - len(marked))
