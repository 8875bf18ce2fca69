import math

from kubectl_finetune.chart import chart


def test_falls_from_full_to_low():
    assert chart([4, 3, 2, 1], width=10).rows == ("█▆▃▁",)


def test_rows_stack():
    top, bottom = chart([16, 1], width=10, height=2).rows
    assert (top, bottom) == ("█ ", "█▁")


def test_more_values_than_columns_keep_first_and_last():
    row = chart([9, *([5] * 98), 1], width=20).rows[0]
    assert len(row) == 20
    assert (row[0], row[-1]) == ("█", "▁")


def test_wide_range_is_logarithmic():
    drawn = chart([100, 10, 1], width=3)
    assert drawn.logarithmic
    assert drawn.rows == ("█▄▁",) or drawn.rows == ("█▅▁",)
    assert not chart([3, 2, 1], width=3).logarithmic
    assert not chart([100, 0, 1], width=3).logarithmic


def test_what_is_no_number_is_a_cross():
    assert chart([2, math.nan, 1], width=3).rows == ("█×▁",)
    assert chart([math.nan, math.inf], width=3, height=2).rows == ("  ", "××")


def test_flat_and_empty():
    assert chart([5, 5], width=4).rows == ("▁▁",)
    assert chart([], width=4, height=2).rows == ("", "")
