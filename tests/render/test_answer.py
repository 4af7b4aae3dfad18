import io

import pytest
from rich.console import Console

from convprof.render.answer import answer_report
from convprof.studies.answer import Answer


def printed(answer, width=80):
    stream = io.StringIO()
    answer_report(Console(file=stream, width=width), answer)
    return stream.getvalue()


def test_the_sentences_and_then_the_command():
    text = printed(Answer(("a is fastest.", "Memory limits it."), "convprof roofline"))
    assert text == "\na is fastest.\nMemory limits it.\nnext: convprof roofline\n"


def test_a_long_command_stays_in_one_line():
    command = "convprof run " + " ".join(["-s microkernel"] * 20)
    assert f"next: {command}\n" in printed(Answer(("a.",), command))


def test_names_are_not_markup():
    assert "[bold]" in printed(Answer(("[bold] is a name.",)))


@pytest.mark.parametrize("sentences", [(), ("a",) * 4])
def test_one_to_three_sentences(sentences):
    with pytest.raises(ValueError, match="1 to 3"):
        Answer(sentences)
