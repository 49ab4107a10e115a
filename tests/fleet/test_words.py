from __future__ import annotations

import pytest

from edge_sdk.fleet.columns import MalformedReport
from edge_sdk.fleet.words import LONGEST_WORD, MOST_WORDS, WordList, word_of


def test_a_word_keeps_its_number_and_is_new_once() -> None:
    words = WordList()
    assert [words.number_of(word) for word in ("fox", "deer", "fox", "", None)] == [1, 2, 1, 0, 0]
    assert list(words.news) == ["fox", "deer"]
    words.server_knows(2)
    assert words.number_of("boar") == 3
    assert list(words.news) == ["boar"]
    again = WordList(words.number, words.words, words.known)
    assert again.number_of("deer") == 2 and list(again.news) == ["boar"]


def test_a_server_that_forgot_is_told_again_and_one_that_boasts_is_not_believed() -> None:
    words = WordList(words=["fox", "deer"], known=2)
    words.server_knows(0)
    assert list(words.news) == ["fox", "deer"]
    words.server_knows(1_000)
    assert words.known == 2


def test_words_are_one_line_of_bounded_length() -> None:
    words = WordList()
    words.number_of("a\nb")
    words.number_of("x" * 10_000)
    assert words.words[0] == "a\\nb"
    assert len(words.words[1]) == LONGEST_WORD


def test_each_list_has_a_name_of_its_own_and_an_end() -> None:
    assert WordList().number != WordList().number
    assert WordList(words=[str(number) for number in range(MOST_WORDS)]).is_full


def test_a_number_leads_to_its_word() -> None:
    assert [word_of(["fox"], number) for number in (0, 1)] == ["", "fox"]
    with pytest.raises(MalformedReport, match="at most 1 words; got 2"):
        word_of(["fox"], 2)
