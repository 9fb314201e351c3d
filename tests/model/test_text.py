"""Words to features, against open_clip's own."""

import pytest
import torch

import rsclip
from rsclip.errors import ModelError, OptionError, RsclipWarning
from tests.model.models import open_clip, tiny_clip

TEMPLATES = [template("{}") for template in open_clip.OPENAI_IMAGENET_TEMPLATES]
WORDS = ["building", "bare soil", "a very long description of low vegetation beside water"]


def prompts(words, templates=TEMPLATES):
    return [[template.format(word) for template in templates] for word in words]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"text": {"layers": 3, "width": 16, "heads": 2, "context_length": 32}},
        {"text": {"no_causal_mask": True}},
        {"text": {"proj_bias": True}},
        {"quick_gelu": True, "text": {"ls_init_value": 0.2}},
    ],
    ids=str,
)
def test_features_are_open_clips_zero_shot_classifier(changes):
    model = tiny_clip(**changes)
    backbone = rsclip.wrap(model)
    expected = open_clip.build_zero_shot_classifier(model, backbone.tokenizer, WORDS, TEMPLATES)
    found = backbone.text_features(prompts(WORDS))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected.T, rtol=0, atol=1e-5)


@pytest.mark.parametrize("changes", [{}, {"text": {"proj_bias": True}}], ids=str)
def test_a_context_that_is_not_changed_says_what_its_words_say(changes):
    model = tiny_clip(**changes)
    backbone = rsclip.wrap(model)
    begin, encode = backbone.context_tower(WORDS, "a photo of a")
    expected = backbone.text_features([[f"a photo of a {word}."] for word in WORDS])
    torch.testing.assert_close(encode(begin), expected)
    own = begin.repeat(len(WORDS), 1, 1)
    own[1] += 1
    moved = encode(own.requires_grad_())
    torch.testing.assert_close(moved[[0, 2]], expected[[0, 2]])
    moved[1].sum().backward()
    assert own.grad[1].abs().min() > 0
    assert not own.grad[[0, 2]].any()
    other = tiny_clip(text={"no_causal_mask": True})
    with pytest.raises(ModelError, match="takes no learned context"):
        rsclip.wrap(other).context_tower(WORDS, "a photo of a")


def test_a_word_has_the_same_bits_beside_any_other():
    alone = rsclip.wrap(tiny_clip()).text_features(prompts(["road"]))
    beside = rsclip.wrap(tiny_clip()).text_features(prompts([WORDS[2], "road", "sea"]))
    assert torch.equal(alone[0], beside[1])


def test_a_set_is_encoded_once():
    backbone = rsclip.wrap(tiny_clip())
    calls = []
    tokenizer = backbone.tokenizer
    backbone.tokenizer = lambda texts: calls.append(len(texts)) or tokenizer(texts)
    first = backbone.text_features(prompts(["road", "sea"]))
    again = backbone.text_features(prompts(["sea", "road"]))
    assert calls == [80, 80]
    assert torch.equal(first, again.flip(0))


def test_own_tokenizer():
    def tokenizer(texts):
        return torch.tensor([[1, len(text) % 10 + 2, 15, 0] for text in texts])

    model = tiny_clip(text={"vocab_size": 16, "context_length": 4})
    with pytest.raises(ModelError, match="tokenizer="):
        rsclip.wrap(model).text_features([["road"]])
    found = rsclip.wrap(model, tokenizer).text_features([["road"]])
    expected = model.encode_text(tokenizer(["road"]), normalize=True)
    torch.testing.assert_close(found, expected)


def test_prompts_that_are_cut_are_named():
    backbone = rsclip.wrap(tiny_clip(text={"context_length": 8}))
    with pytest.warns(RsclipWarning, match="cut at the model's 8 tokens: a field of"):
        backbone.text_features([["road", "a field of ripe wheat with a brook beside it"]])


def test_no_prompts():
    backbone = rsclip.wrap(tiny_clip())
    for sets in ([], [["road"], []]):
        with pytest.raises(OptionError):
            backbone.text_features(sets)
