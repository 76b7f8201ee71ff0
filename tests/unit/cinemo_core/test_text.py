"""Prompts of any length are read in full, in chunks of the encoder's size."""

import pytest
import torch

from cinemo_core import CinemoPipeline
from cinemo_core.text import chunks_of, framed, tokenize

LENGTH = 32


def test_a_prompt_of_one_chunk_is_tokenized_as_by_its_tokenizer(tiny: CinemoPipeline) -> None:
    for prompt in ("", "pan left", "the camera pans left, then zooms in"):
        (part,) = chunks_of(tiny.tokenizer, prompt, LENGTH - 2)
        expected = tokenize(tiny.tokenizer, tiny.text_encoder, [prompt])
        assert torch.equal(torch.tensor([framed(tiny.tokenizer, part, LENGTH)]), expected)


def test_a_longer_prompt_is_split_between_words_and_read_in_full(tiny: CinemoPipeline) -> None:
    prompt = "the camera pans left while zooming in " * 12
    parts = chunks_of(tiny.tokenizer, prompt, LENGTH - 2)
    whole = tiny.tokenizer(prompt, add_special_tokens=False, verbose=False).input_ids
    assert [each for part in parts for each in part] == whole
    assert len(parts) > 1
    for part in parts:
        assert len(part) <= LENGTH - 2
        assert tiny.tokenizer.convert_ids_to_tokens(part)[-1].endswith("</w>")


def test_a_word_longer_than_a_chunk_is_read_in_full(tiny: CinemoPipeline) -> None:
    parts = chunks_of(tiny.tokenizer, "海" * 100, LENGTH - 2)
    assert sum(map(len, parts)) == len(tiny.tokenizer("海" * 100, add_special_tokens=False, verbose=False).input_ids)


@torch.no_grad()
def test_text_beyond_the_first_chunk_has_an_effect(tiny: CinemoPipeline) -> None:
    begin = "the picture stands still and nothing moves " * 6
    one, other = (tiny.encode_text([begin + end, ""]) for end in ("pan left", "zoom in"))
    assert one.shape == other.shape
    assert one.shape[1] > LENGTH
    assert torch.equal(one[0, :LENGTH], other[0, :LENGTH])
    assert not torch.equal(one[0], other[0])
    assert torch.equal(one[1, :LENGTH], one[1, -LENGTH:]), "the shorter text is as long, its chunks empty"


@pytest.mark.parametrize("prompt", ["pan left", "the camera pans left"])
@torch.no_grad()
def test_a_short_prompt_is_encoded_as_by_the_text_encoder_alone(tiny: CinemoPipeline, prompt: str) -> None:
    tokens = tokenize(tiny.tokenizer, tiny.text_encoder, [prompt])
    torch.testing.assert_close(tiny.encode_text([prompt]), tiny.text_encoder(tokens).last_hidden_state)
