import pytest

from rsclip.model.open_clip_import import import_open_clip

open_clip = import_open_clip()
import torch  # noqa: E402

from rsclip.nano.model import NanoShape, build, encode_image, encode_text  # noqa: E402
from rsclip.nano.text_tower import Tokens  # noqa: E402
from rsclip.nano.words import IMAGENET_TEMPLATES, OVERHEAD_TEMPLATES  # noqa: E402

SHAPE = NanoShape(width=64, layers=2, image_size=32)


@pytest.fixture(scope="module")
def model():
    return build(SHAPE, seed=3).eval()


@torch.no_grad()
@pytest.mark.parametrize("attention", ["qq", "qk"])
def test_cls_is_open_clips_image_embedding(model, attention):
    images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    _, cls = encode_image(model, images, attention)
    torch.testing.assert_close(cls, model.encode_image(images, normalize=True), atol=1e-5, rtol=0)


@torch.no_grad()
def test_patches_are_the_clearclip_formula(model):
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    visual = model.visual
    tokens = {}
    last = visual.transformer.resblocks[-1]
    hook = last.register_forward_pre_hook(lambda module, args: tokens.update(x=args[0]))
    model.encode_image(images)
    hook.remove()
    heads, width = last.attn.num_heads, SHAPE.width
    q, _, v = (
        part.view(2, -1, heads, width // heads).transpose(1, 2)
        for part in torch.nn.functional.linear(
            last.ln_1(tokens["x"]), last.attn.in_proj_weight, last.attn.in_proj_bias
        ).chunk(3, dim=-1)
    )
    attention = (q @ q.transpose(-1, -2) / (width // heads) ** 0.5).softmax(dim=-1)
    mixed = last.attn.out_proj((attention @ v).transpose(1, 2).flatten(2))
    expected = torch.nn.functional.normalize(visual.ln_post(mixed) @ visual.proj, dim=-1)[:, 1:]
    patches, _ = encode_image(model, images, "qq")
    torch.testing.assert_close(patches, expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_short_text_pass_is_open_clips(model):
    texts = ["a dog", "a photo of a sandy beach.", "land cover: water"]
    tokens = open_clip.tokenize(texts)
    torch.testing.assert_close(
        encode_text(model, tokens), model.encode_text(tokens, normalize=True), atol=1e-5, rtol=0
    )


def test_tokens_are_open_clips():
    tokens = Tokens()
    templates = (*IMAGENET_TEMPLATES, *OVERHEAD_TEMPLATES)
    for word in ("bare soil", "built-up", "broad-leaved forest", "water"):
        ours = tokens([(template, word) for template in templates])
        theirs = open_clip.tokenize([template.format(word) for template in templates])
        assert torch.equal(ours, theirs)


def test_build_depends_on_the_seed_only():
    first, second, other = (build(SHAPE, seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["visual.proj"], other["visual.proj"])
