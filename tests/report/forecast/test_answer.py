"""Sentences, tables and charts of ``fewshot predict``, from values that are made up."""

import re

import numpy as np
import pytest

from fewshot.report.forecast.answer import answer
from fewshot.report.forecast.curves import ASCII, BLOCKS, curve_text, marks_for
from fewshot.report.forecast.text import decision_text
from fewshot.tasks.classification.forecast.confusion import Confusion
from fewshot.tasks.classification.forecast.decision import Decision
from fewshot.tasks.classification.forecast.forecast import Forecast
from fewshot.tasks.classification.forecast.learning_curve import CurvePoint, Target
from fewshot.tasks.classification.forecast.next_labels import NextLabel
from fewshot.tasks.classification.forecast.suspects import Suspect
from fewshot.tasks.classification.forecast.unlabelled import FromUnlabelled, UnlabelledPoint

SIZES = {"shirt": 5, "t-shirt": 5, "shoe": 5}
OUTLOOK = (CurvePoint(1, 0.06, 0.03, 0.1), CurvePoint(5, 0.04, 0.01, 0.09))
SHARES = np.array([[0.8, 0.15, 0.05], [0.2, 0.8, 0.0], [0.01, 0.0, 0.99]])


def forecast_of(head="ridge", error=0.064, lower=0.031, upper=0.112, **other):
    settings = {"backbone": "net", "calibrated_on": "datasets", "note": None, "outlook": OUTLOOK}
    return Forecast(head=head, error=error, lower=lower, upper=upper, **(settings | other))


def decision_of(*rows, **other):
    return Decision([*(rows or [forecast_of()])], SIZES, other.pop("level", 0.9), **other)


def target_of(**other):
    settings = {"error": 0.05, "images": 12, "fewest": 8, "enough": 20, "most": 200}
    return Target(**(settings | {"reached": False} | other))


@pytest.mark.parametrize(
    ("numbers", "level", "words"),
    [((0.064, 0.031, 0.112), 0.9, "About 6 of 100 new images would be labelled wrongly (90 % "
      "sure: 3 to 11), with ridge on net."),
     ((0.013, 0.0, 0.062), 0.9, "About 1 of 100"),
     ((0.0042, 0.0, 0.031), 0.975, "About 4 of 1,000 new images would be labelled wrongly (97.5 % "
      "sure: 0 to 31)"),
     ((0.0001, 0.0, 0.02), 0.9, "Fewer than 1 of 1,000"),
     ((0.999, 0.9, 1.0), 0.9, "About 100 of 100")],
)  # fmt: skip
def test_headline(numbers, level, words):
    error, lower, upper = numbers
    best = forecast_of(error=error, lower=lower, upper=upper)
    assert answer(decision_of(best, level=level)).headline.startswith(words)


def test_headline_of_a_mere_average_says_so():
    made = answer(decision_of(forecast_of(note="one shot and no base classes")))
    assert made.headline.endswith("no more than an average of other data sets.")
    assert "with --base" in made.steps[0]


@pytest.mark.parametrize(
    ("target", "words"),
    [(target_of(), "For 5 % it takes about 12 images per class in all (8 to 20)."),
     (target_of(enough=None), "it takes about 12 images per class in all (8 to more than 200)."),
     (target_of(fewest=None), "it takes about 12 images per class in all (up to 20)."),
     (target_of(images=None, fewest=None, enough=None),
      "even 200 images per class are not expected to do with ridge on net: try another backbone."),
     (target_of(images=None, enough=None), "not expected to do, though as few as 8 may."),
     (target_of(reached=True), "the images at hand should do; with 20 per class it is nearly"),
     (target_of(reached=True, enough=None),
      "For 5 % the images at hand should do, though not surely: the interval goes up to 11 %."),
     (target_of(reached=True, enough=5), "For 5 % the images at hand should do."),
     (target_of(note="five are the least"), "(8 to 20). Five are the least."),
     (None, "How many images per class 5 % takes is not known for ridge on net: no curve was "
      "measured.")],
)  # fmt: skip
def test_target(target, words):
    made = answer(decision_of(target=target, aim=0.05))
    assert words in made.target
    assert made.lines[0] == made.target
    assert answer(decision_of()).target is None


def test_next_steps_name_files_and_classes():
    best = forecast_of(confusion=Confusion(tuple(SIZES), SHARES))
    odd = [Suspect(f"shirt/{n}.jpg", "shirt", "mislabelled", "looks like t-shirt", 0.01)
           for n in range(3)]  # fmt: skip
    images = [NextLabel(f"roll/{n}.jpg", n, "shoe", 0.5, 0.06 - n / 100, 0.01) for n in range(4)]
    made = answer(decision_of(best, forecast_of("lda", 0.07), suspects=odd, next_labels=images))
    assert made.steps == (
        "Take ridge on net. Too close to tell apart: lda.",
        "Look at shirt/0.jpg (of shirt): looks like t-shirt; 2 more images to look at.",
        "Two classes make 85 % of the errors: shirt and t-shirt.",
        "Label 0.jpg, 1.jpg, 2.jpg and 1 more next: "
        "the error should fall from 6.4 % to about 3.0 %.",
    )  # fmt: skip
    assert made.as_json() == {"headline": made.headline, "lines": [*made.steps]}


def test_take_where_all_are_alike():
    """Which others are as good is worth a list only where some are worse."""
    alike = [forecast_of(name, 0.07) for name in ("ncm", "lda")]
    assert answer(decision_of(forecast_of(), *alike)).steps[0] == (
        "Take ridge on net. All 2 others are too close to it to tell apart."
    )
    worse = forecast_of("logistic", 0.3)
    assert answer(decision_of(forecast_of(), *alike, worse)).steps[0] == (
        "Take ridge on net. Too close to tell apart: ncm and lda."
    )
    lower = forecast_of("lda", 0.063)
    assert answer(decision_of(forecast_of(), lower, worse)).steps[0] == (
        "Take ridge on net, the usual choice where no other is clearly better. "
        "Too close to tell apart: lda."
    )


def test_rising_errors_are_explained():
    """As with labels that make the numbers of images unequal."""

    def text(*errors):
        images = [NextLabel(f"{n}.jpg", n, "shoe", 0.5, e, 0.0) for n, e in enumerate(errors)]
        return decision_text(decision_of(next_labels=images))

    assert "Where the error rises" not in text(0.064, 0.06, 0.05)
    assert "Where the error rises" in text(0.07, 0.05)
    assert "Where the error rises" in text(0.06, 0.05, 0.055)


def test_what_unlabelled_images_change():
    def text(*errors):
        points = [UnlabelledPoint(n, n / 3, e, e - 0.05, e + 0.05) for n, e in enumerate(errors)]
        seen = FromUnlabelled(1, 0.1, False, 0.1, 0.05, 0.2, tuple(points))
        return decision_text(decision_of(forecast_of(seen=seen)))

    assert "take the prediction from 10 % to 6.0 %, and narrow its interval by less" in text(
        0.1, 0.06
    )
    assert "Unlabelled images narrow the interval by less than a tenth here." in text(0.1, 0.1)


def test_no_fall_between_equal_numbers():
    image = NextLabel("a.jpg", 0, "shoe", 0.5, 0.2095, 0.0025)
    made = answer(decision_of(forecast_of(error=0.212), next_labels=[image]))
    assert made.steps[-1] == "Label a.jpg next."


def test_two_of_three_classes_make_more_than_their_share():
    """Of three pairs each makes a third where all are alike."""
    even = np.full((3, 3), 0.1) + 0.7 * np.eye(3)
    even[0, 1] += 0.02
    made = answer(decision_of(forecast_of(confusion=Confusion(tuple(SIZES), even))))
    assert not any("Two classes" in line for line in made.lines)


def test_labels_are_aligned_or_broken():
    labels = [
        {"file": "a/1.jpg", "label": "shirt", "probability": 0.71, "runner_up": "shoe"},
        {"file": "a/12.jpg", "label": "t-shirt", "probability": 0.5, "runner_up": "shirt"},
    ]
    text = decision_text(decision_of(), labels)
    rows = [line.split() for line in text.split("Labels by")[1].splitlines()]
    assert ["a/1.jpg", "shirt", "71", "%", "shoe"] in rows
    assert "t-shirt  50 %" in text
    narrow = decision_text(decision_of(), labels * 30, width=30)
    assert "a/12.jpg: t-shirt (50 %), or\n" in narrow
    assert max(map(len, narrow.split("Labels by")[1].splitlines())) <= 30


def test_data_of_the_calibration_is_a_column_where_no_note_says_so():
    assert "calibrated on" not in decision_text(decision_of())
    assert "base classes" in decision_text(decision_of(forecast_of(calibrated_on="base")))


def test_files_that_cannot_be_read_are_named_first():
    torn = [Suspect(f"shoe/{n}.jpg", "shoe", "unreadable", "torn") for n in range(5)]
    copy = Suspect("shirt/1.jpg", "shirt", "copy", "the same picture as shoe/1.jpg")
    first, second, *_ = answer(decision_of(suspects=[*torn, copy])).steps
    assert first == (
        "Mend or remove shoe/0.jpg, shoe/1.jpg, shoe/2.jpg and 2 more: unreadable, and passed over."
    )
    assert second == "Look at shirt/1.jpg (of shirt): the same picture as shoe/1.jpg."


def test_of_two_classes_no_pair_is_named():
    shares = np.array([[0.9, 0.1], [0.1, 0.9]])
    made = answer(decision_of(forecast_of(confusion=Confusion(("a", "b"), shares))))
    assert not any("Two classes" in line for line in made.lines)


def test_more_images_only_where_they_help():
    assert any("Label 5 more images per class" in s for s in answer(decision_of()).steps)
    flat = (CurvePoint(5, 0.0639, 0.0, 0.1),)
    assert answer(decision_of(forecast_of(outlook=flat))).steps == ()


def test_names_cannot_steer_the_terminal():
    odd = Suspect("a\x1b[2J.jpg", "x\u202ey", "outlier", "far\x07 off", 0.01)
    image = NextLabel("b\x1b.jpg", 0, "c\nd", 0.5, 0.01, 0.01)
    text = decision_text(decision_of(forecast_of("r\x1b"), suspects=[odd], next_labels=[image]))
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", text)


@pytest.mark.parametrize("width", [40, 80, 100])
def test_lines_fit(width):
    points = (UnlabelledPoint(0, 0, 0.1, 0.05, 0.2), UnlabelledPoint(30, 10, 0.06, 0.03, 0.11))
    seen = FromUnlabelled(30, 0.1, False, 0.1, 0.05, 0.2, points)
    best = forecast_of(
        seen=seen,
        confusion=Confusion(("class of a long name", "another", "third"), SHARES),
        warnings=("something that is long enough to be broken " * 4,),
    )
    odd = Suspect("shirt/1.jpg", "shirt", "copy", "the same picture as one of another class, " * 3)
    image = NextLabel("roll/of/a/telephone.jpg", 0, "another", 0.5, 0.05, 0.01)
    text = decision_text(
        decision_of(best, suspects=[odd], next_labels=[image], target=target_of()), width=width
    )
    assert max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize("width", range(40, 60))
def test_numbers_stay_with_their_unit(width):
    text = decision_text(decision_of(target=target_of(), aim=0.05), width=width)
    assert not any(line.lstrip().startswith("%") for line in text.splitlines())


def test_answer_comes_first_and_notes_last():
    best = forecast_of(confusion=Confusion(tuple(SIZES), SHARES), warnings=("of some kind",))
    odd = Suspect("shirt/1.jpg", "shirt", "outlier", "far off")
    image = NextLabel("roll/1.jpg", 0, "shoe", 0.5, 0.05, 0.01)
    text = decision_text(decision_of(best, suspects=[odd], next_labels=[image]))
    order = ["About 6 of 100", "- Look at", "3 classes, 15 images", "backbone", "as it is: about",
             "new images of", "Labelled images to look at", "Images to label next",
             "Note: of some kind."]  # fmt: skip
    places = [text.index(words) for words in order]
    assert places == sorted(places)
    assert re.search(r"shirt +t-shirt +15 % +85 %", text)


def test_chart_has_the_interval_to_scale():
    best = forecast_of(error=0.2, lower=0.1, upper=0.4, outlook=(CurvePoint(3, 0.1, 0.0, 0.2),))
    for marks in (BLOCKS, ASCII):
        *_, now, later, scale = curve_text(best, 0.9, 100, marks).splitlines()
        start = scale.index("0 %")
        room = len(scale) - start
        assert scale.endswith("40 %")
        for line, bounds in ((now, (0.1, 0.2, 0.4)), (later, (0.0, 0.1, 0.2))):
            bar = line[start:]
            places = (bar.index(marks.lower), bar.index(marks.error), bar.rindex(marks.upper))
            assert places == tuple(round(share / 0.4 * (room - 1)) for share in bounds)
    assert curve_text(best, 0.9, 100, ASCII).isascii()


def test_characters_that_the_encoding_has():
    assert marks_for("utf-8") == BLOCKS
    assert marks_for("ascii") == marks_for(None) == marks_for("no such encoding") == ASCII
