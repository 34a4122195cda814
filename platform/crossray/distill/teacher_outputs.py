"""What a teacher says of images and texts, computed once and then learnt from."""

from collections.abc import Collection, Iterable

import torch
from torch import Tensor

from crossray.core.types import ImageBatch, Representation, TextBatch
from crossray.encoders.tower import Layers
from crossray.methods.contract import Encoder

_ATTENTION = "attention_"


@torch.inference_mode()
def image_outputs(
    teacher: Encoder, image: ImageBatch, numbers: Collection[int]
) -> tuple[Representation, Representation]:
    """What the teacher's score needs to know of images, and its layers of the given numbers."""
    if not numbers:
        return teacher.represent_image(image), {}
    with teacher.image_tower.recorded_layers() as layers:
        return teacher.represent_image(image), named_layers(layers, numbers)


@torch.inference_mode()
def text_outputs(
    teacher: Encoder, text: TextBatch, numbers: Collection[int]
) -> tuple[Representation, Representation]:
    """What the teacher's score needs to know of texts, and its layers of the given numbers."""
    if not numbers:
        return teacher.represent_text(text), {}
    assert text.tokens_BT is not None
    layers = teacher.text_tower.layers(text.tokens_BT, text.mask_BT)
    states = TextBatch(text.mask_BT, text.sentence_BT, states_BTD=layers.hidden[-1])
    return teacher.represent_text(states), named_layers(layers, numbers)


def named_layers(layers: Layers, numbers: Iterable[int]) -> dict[str, Tensor]:
    """States and attention maps of the layers of the given numbers, counted from 0."""
    named = {}
    for number in sorted(set(numbers)):
        named[hidden_name(number)] = layers.hidden[number]
        named[attention_name(number)] = layers.attention[number]
    return named


def without_padding(part: Representation, length: int) -> Representation:
    """Layers of one text, cut to its number of tokens; the padding depended on its batch."""
    return {
        name: tensor[:length, :length] if name.startswith(_ATTENTION) else tensor[:length]
        for name, tensor in part.items()
    }


def hidden_name(number: int) -> str:
    """The name of a layer's states."""
    return f"hidden_{number}"


def attention_name(number: int) -> str:
    """The name of a layer's attention map."""
    return f"{_ATTENTION}{number}"
