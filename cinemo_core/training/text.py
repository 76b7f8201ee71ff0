"""The tiny model's text side: a byte-pair tokenizer of this project's own vocabulary and a small CLIP text model."""

import json
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from cinemo_core.training.clips import MOTIONS, SUBJECTS
from cinemo_core.training.config import TextConfig

START, END = "<|startoftext|>", "<|endoftext|>"
ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789,.!?'-"


def make_tokenizer(folder: Path, tokens: int) -> CLIPTokenizer:
    """Learn byte pairs from the recipe's phrases; other words fall apart into known pieces and letters."""
    sentences = [phrase for motion in MOTIONS.values() for phrase in motion.phrases] * 4 + list(SUBJECTS) * 4
    learner = Tokenizer(models.BPE(unk_token=END, end_of_word_suffix="</w>"))
    learner.normalizer = normalizers.Lowercase()
    learner.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()])
    letters = list(ALPHABET) + [letter + "</w>" for letter in ALPHABET]
    trainer = trainers.BpeTrainer(
        vocab_size=1000,
        special_tokens=[START, END, *letters],
        initial_alphabet=list(ALPHABET),
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    learner.train_from_iterator(sentences, trainer)
    learned = json.loads(learner.to_str())["model"]
    merges = [tuple(pair) if isinstance(pair, list) else tuple(pair.split(" ")) for pair in learned["merges"]]
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = CLIPTokenizer(
        vocab=learned["vocab"],
        merges=merges,
        unk_token=END,
        bos_token=START,
        eos_token=END,
        pad_token=END,
        model_max_length=tokens,
    )
    tokenizer.save_pretrained(folder)
    return tokenizer


def make_text_encoder(config: TextConfig, tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """A CLIP text model with random weights, trained together with the UNet."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=config.width,
            intermediate_size=4 * config.width,
            projection_dim=config.width,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            max_position_embeddings=config.tokens,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
