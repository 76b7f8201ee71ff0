"""The patch codec: a linear projection with the interface of a VAE."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from cinemo_core import PatchCodec
from cinemo_core.media import prepare_image
from cinemo_core.training.initial import encode_pixels
from cinemo_core.training.sources import load_photos


def random_pixels() -> torch.Tensor:
    return torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_a_codec_with_every_component_is_lossless() -> None:
    pixels = random_pixels()
    codec = PatchCodec.fit(torch.rand(400, 3, 8, 8, generator=torch.Generator().manual_seed(1)) * 2 - 1, 192)
    latent = codec.encode(pixels).latent_dist.mode()
    assert latent.shape == (2, 192, 2, 3)
    torch.testing.assert_close(codec.decode(latent).sample, pixels, rtol=1e-4, atol=1e-4)


def fitted() -> PatchCodec:
    return PatchCodec.fit(torch.rand(400, 3, 8, 8, generator=torch.Generator().manual_seed(1)) * 2 - 1)


def test_decoding_and_encoding_again_gives_the_same_latents() -> None:
    codec = fitted()
    latent = codec.encode(random_pixels()).latent_dist.mode()
    again = codec.encode(codec.decode(latent).sample).latent_dist.mode()
    torch.testing.assert_close(again, latent, rtol=1e-3, atol=1e-2)


def test_more_components_reduce_the_loss_on_an_unseen_photo(coffee: Image.Image) -> None:
    photos = [np.asarray(prepare_image(Image.fromarray(photo), 144, 96)) for photo in load_photos()]
    still = np.asarray(prepare_image(coffee, 144, 96))
    pixels = encode_pixels(np.stack([*photos, still]))
    codecs = [PatchCodec.fit(pixels[:-1], components) for components in (4, 16, 64)]
    errors = [
        (codec.decode(codec.encode(pixels[-1:]).latent_dist.mode()).sample - pixels[-1]).std() for codec in codecs
    ]
    assert errors[0] > errors[1] > errors[2]


def test_saving_and_loading_preserves_the_codec(tmp_path: Path) -> None:
    codec = fitted()
    codec.save_pretrained(tmp_path)
    loaded = PatchCodec.from_pretrained(tmp_path)
    pixels = random_pixels()
    assert torch.equal(loaded.encode(pixels).latent_dist.mode(), codec.encode(pixels).latent_dist.mode())
