import numpy as np

from rsclip.words.vocabulary import UnknownWord, check_words

VOCABULARY = {
    "threshold": 0.5,
    "template": "a {}",
    "classes": {"water": ["water", "lake"], "forest": ["forest", "trees"]},
}
PLACES = {
    "a water": [1, 0, 0],
    "a lake": [0.9, 0.1, 0],
    "a forest": [0, 1, 0],
    "a trees": [0, 0.9, 0],
    "a river": [2, 0.2, 0],
    "a banana": [0.1, 0.3, 0.9],
}


def embed(prompts):
    return np.array([PLACES[prompt] for prompt in prompts], dtype=np.float32)


def test_far_words_come_with_the_nearest_known_word():
    (far,) = check_words(embed, ["river", "banana", "banana"], VOCABULARY)
    assert isinstance(far, UnknownWord)
    assert (far.word, far.nearest) == ("banana", "forest")
    assert np.isclose(far.similarity, 0.3 / np.sqrt(0.1**2 + 0.3**2 + 0.9**2), atol=1e-6)


def test_known_words_need_no_embedding():
    def refuse(prompts):
        raise AssertionError(prompts)

    assert check_words(refuse, ["Water", " trees "], VOCABULARY) == []
    assert check_words(refuse, [], VOCABULARY) == []


def test_the_word_is_named_as_it_was_written():
    assert [far.word for far in check_words(embed, ["Banana"], VOCABULARY)] == ["Banana"]
