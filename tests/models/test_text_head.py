"""Class names by CLIP's text side: features, zero-shot logits, and heads that start from them."""

import json
from pathlib import Path

import open_clip
import pytest
import torch

from m3amba_zoo.errors import InputError
from m3amba_zoo.models import ClipImageEncoder, TextHead, text_features, zero_shot
from m3amba_zoo.registry import MODELS

CLASSES = ["trees", "water", "a parking lot"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A small model that takes the words of CLIP's tokenizer."""
    return small_clip(tmp_path_factory.mktemp("clip") / "ViT-words-test.json", vocab_size=49408)


def small_clip(path, vocab_size):
    vision = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16}
    text = {"context_length": 16, "vocab_size": vocab_size, "width": 32, "heads": 2, "layers": 1}
    path.write_text(json.dumps({"embed_dim": 24, "vision_cfg": vision, "text_cfg": text}))
    return {"name": str(path), "weights": "random"}


def test_features_are_those_of_open_clip_averaged_over_prompts(clip):
    given = text_features(CLASSES, ["{}", "an aerial image of {}"], **clip)
    name = Path(clip["name"]).stem
    torch.manual_seed(0)
    model, tokenize = open_clip.create_model(name).eval(), open_clip.get_tokenizer(name)
    both = [
        model.encode_text(tokenize([prompt + c for c in CLASSES]), normalize=True)
        for prompt in ("", "an aerial image of ")
    ]
    expected = torch.nn.functional.normalize(both[0] + both[1], dim=-1)
    torch.testing.assert_close(given, expected.detach())


def test_zero_shot_finds_the_nearest_text(clip):
    texts = text_features(CLASSES, **clip)
    features = 3 * texts[[2, 0]]
    assert zero_shot(features, texts).argmax(1).tolist() == [2, 0]
    patches = features[:, :, None, None].expand(2, 24, 4, 5)
    assert zero_shot(patches, texts).shape == (2, 3, 4, 5)
    assert zero_shot(patches, texts)[0].argmax(0).eq(2).all()
    encoder = ClipImageEncoder(**clip)
    assert zero_shot(encoder(torch.rand(2, 3, 32, 32)), texts).shape == (2, 3)


def test_a_head_starts_from_the_names_and_may_be_held_there(clip):
    model = MODELS.build(
        {
            "type": "M3amba",
            "in_channels": {"hsi": 5},
            "num_classes": 3,
            "embed_dim": 16,
            "window": 8,
            "adapter": {"type": "LinearAdapter"},
            "neck": {"type": "CrossMamba", "depth": 1, "d_state": 4},
            "head": {"type": "TextHead", "classes": CLASSES, "regularise": 0.5, **clip},
        }
    )
    texts = text_features(CLASSES, **clip)
    head = model.heads["fused"]
    assert torch.equal(head.classify.weight, texts)
    x, labels = {"hsi": torch.randn(2, 5, 8, 8)}, torch.randint(0, 4, (2, 8, 8))
    torch.testing.assert_close(model(x, mode="loss", labels=labels)["loss_head_fused"], torch.tensor(0.0))
    head.classify.weight.data[0] *= -1
    terms = model(x, mode="loss", labels=labels)
    torch.testing.assert_close(terms["loss_head_fused"], torch.tensor(0.5 * 2 / 3))
    sum(terms.values()).backward()
    assert all(value.grad is not None for value in head.parameters())
    assert not [name for name in model.state_dict() if name.endswith("texts")]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"classes": CLASSES[:2]}, "classes has 2 names, expected 3"),
        ({"prompts": "an aerial image"}, "prompt 'an aerial image' has no {}"),
        ({"regularise": -1}, "regularise is -1, expected 0 or more"),
    ],
)
def test_bad_options(options, expected, clip):
    with pytest.raises(InputError, match=expected):
        TextHead(**{"embed_dim": 8, "num_classes": 3, "classes": CLASSES, **clip, **options})


def test_weights_without_a_text_side_are_refused(clip, tmp_path):
    tower = ClipImageEncoder(**clip).network
    torch.save({f"visual.{name}": value for name, value in tower.state_dict().items()}, tmp_path / "tower.pt")
    with pytest.raises(InputError, match=r"tower\.pt: has no text side of 'ViT-words-test'"):
        text_features(CLASSES, name=clip["name"], weights=str(tmp_path / "tower.pt"))


def test_a_tokenizer_with_more_words_than_the_model_is_refused(tmp_path):
    few = small_clip(tmp_path / "ViT-few-words-test.json", vocab_size=1000)
    with pytest.raises(InputError, match="'ViT-few-words-test' knows 1000 tokens, but its tokenizer"):
        text_features(CLASSES, **few)
