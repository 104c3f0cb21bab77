"""The chart: its scale, its size, and how often it is drawn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.geometry import Size

from denet_tui.widgets import chart
from denet_tui.widgets.chart import Chart, draw_chart, round_top, thin


@given(st.floats(0, 1e15))
def test_the_top_is_round_and_above(value: float) -> None:
    top = round_top(value)
    assert max(1, value) <= top <= max(1, value * 1.51)


@pytest.mark.parametrize(("value", "top"), [(0, 1), (1, 1), (1.2, 1.5), (37_792, 40_000), (10, 10), (100_001, 150_000)])
def test_tops(value: float, top: float) -> None:
    assert round_top(value) == top


def test_thinning_keeps_peaks() -> None:
    assert thin([0, 1, 2, 3, 4], [1, 9, 2, 3, 4], 3) == ([0, 2, 4], [9, 3, 4])
    assert thin([0, 1], [1, 2], 2) == ([0, 1], [1, 2])


@pytest.mark.parametrize(("width", "height"), [(20, 4), (48, 6), (72, 13), (190, 40)])
@pytest.mark.parametrize("values", [[], [5.0], [0.0] * 30, [float(value * value) for value in range(200)]])
def test_every_line_has_the_width_asked_for(width: int, height: int, values: list[float]) -> None:
    times = [(at - len(values) + 1) / 2 for at in range(len(values))]
    lines = draw_chart(times, values, width, height)
    assert [len(line) for line in lines] == [width] * height


def test_a_steady_rate_is_not_drawn_at_zero() -> None:
    lines = draw_chart([-2, -1, 0], [80.0] * 3, 60, 9)
    curve = [index for index, line in enumerate(lines) if any("\u2800" < char <= "\u28ff" for char in line)]
    assert len(curve) == 1
    assert lines[0].startswith(" 80┤") or lines[0].startswith("80┤")
    assert curve[0] == 0


def test_the_axes_start_at_zero_and_end_now() -> None:
    lines = draw_chart([-20, 0], [1.0, 400.0], 60, 12)
    assert lines[-1].split() == ["-30s", "-20s", "-10s", "now"]
    assert [line.split("┤")[0].strip() for line in lines if "┤" in line] == ["400", "300", "200", "100", "0"]


class Still(Chart):
    """A chart of 60x10 cells without a screen."""

    @property
    def size(self) -> Size:
        return Size(60, 10)


def test_new_values_are_drawn_at_most_twice_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now, drawn = [100.0], []
    monkeypatch.setattr(chart.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(chart, "draw_chart", lambda *data: drawn.append(data) or [" " * 60] * 9)
    widget = Still()
    for _ in range(10):
        widget.show("read", [-1, 0], [1, 2])
        widget.render_line(0)
        now[0] += 0.1
    assert len(drawn) == 2
    widget.show("write", [-1, 0], [1, 2])
    widget.render_line(0)
    assert len(drawn) == 3
    widget.show("write", [-1, 0], [1, 3], final=True)
    widget.render_line(0)
    assert len(drawn) == 4


def test_title_and_lines() -> None:
    widget = Still()
    widget.show("read", [-1, 0], [40, 20])
    assert widget.render_line(0).text == "read   now 20/s   peak 40/s".ljust(60)
    assert {widget.render_line(y).cell_length for y in range(12)} == {60}
    assert "now" in widget.render_line(9).text


def test_nothing_is_drawn_for_nothing() -> None:
    widget = Still()
    widget.show("", (), ())
    assert not "".join(widget.render_line(y).text for y in range(10)).strip()
