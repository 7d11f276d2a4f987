// The panels of the chart over shots, one per data set.
const alongAxis = (value) => Math.log2(Math.max(value, task().axis.least));

function curveAxes(panels) {
  const points = [...panels.values()].flatMap((lines) => [...lines.values()].flat());
  const xs = unique(points.map((point) => point.x)).sort((a, b) => a - b);
  const axis = task().axis;
  const share = isShare(currentMeasure());
  const room = xs.length > 1 ? 0 : 0.5;
  const heights = points.flatMap((point) => [
    point.mean,
    ...(point.bounds ?? []),
    isError() ? point.predicted : null,
  ]);
  const domain = niceDomain(heights, { zero: isError(), top: share ? 1 : Infinity });
  return {
    x: {
      domain: room ? [xs[0] / 2, xs[0] * 2] : [xs[0], xs.at(-1)],
      ticks: xs,
      map: alongAxis,
      text: axis.percent ? percentTick : String,
      title: xs.length > 2 ? `${axis.title} (log)` : axis.title,
    },
    y: {
      domain: [share ? Math.max(0, domain[0]) : domain[0], domain[1]],
      text: amountTick(currentMeasure()),
      title: isError() ? "error, %" : withUnit(measureName(currentMeasure()), currentMeasure()),
    },
  };
}

function curvePanel(title, lines, axes, looks, names, width, tell) {
  const { svg, X, Y } = frame({
    width,
    height: Math.round(Math.min(420, 0.72 * width)),
    ...axes,
    inset: 22,
    label: `${axes.y.title} against ${axes.x.title}, ${title}`,
  });
  svg.append(shape("text", { class: "name", x: width - 14, y: 13, "text-anchor": "end" }, title));
  const faint = [...lines]
    .filter(([key]) => !looks.has(key))
    .map(([, line]) => pathThrough(line.map((p) => [X(p.x), Y(p.mean)])));
  if (faint.length) svg.append(shape("path", { class: "others", d: faint.join("") }));
  const selected = selectedCell() && seriesKey(selectedCell());
  const there = [...looks].filter(([key]) => lines.has(key));
  const points = [];
  there.forEach(([key, look], i) => {
    // Slightly aside, so that none hides another.
    const aside = (i - (there.length - 1) / 2) * 3;
    const line = lines.get(key);
    svg.append(curveMarks(line, look, (x) => X(x) + aside, Y, key === selected && isError()));
    for (const point of line)
      points.push({ x: X(point.x) + aside, y: Y(point.mean), title, name: names.get(key), point });
  });
  readable(
    svg,
    points,
    tell,
    `${axes.y.title} against ${axes.x.title}, ${title}, ${plural(there.length, "line")}.`,
  );
  return svg;
}

function curveMarks(line, look, X, Y, predicted) {
  const color = colorOf(look);
  const group = shape("g");
  group.append(
    shape("path", {
      class: `line s${color}`,
      d: pathThrough(line.map((p) => [X(p.x), Y(p.mean)])),
    }),
  );
  if (predicted)
    group.append(
      shape("path", {
        class: `line dashed s${color}`,
        d: brokenPath(line.map((p) => [X(p.x), known(p.predicted) ? Y(p.predicted) : NaN])),
      }),
    );
  for (const p of line) {
    // The t interval of a few seeds may reach below 0 and above 1, where the chart ends.
    const inside = (one) => (isShare(currentMeasure()) ? Math.min(Math.max(one, 0), 1) : one);
    const ends = p.bounds?.map((one) => Y(inside(one)).toFixed(1));
    if (ends)
      group.append(
        shape("path", {
          class: `whisker s${color}`,
          d: `M${X(p.x).toFixed(1)},${ends[0]}V${ends[1]}`,
        }),
      );
    group.append(marker(look, X(p.x), Y(p.mean)));
  }
  return group;
}

function curveWords({ title, name, point }) {
  const { percent: share, unit } = task().axis;
  const x = share
    ? `${percent(point.x, 0)} % ${unit}`
    : `${point.x} ${unit}${point.x === 1 ? "" : "s"}`;
  const measure = currentMeasure();
  const half = halfOf(point.bounds);
  const seeds = point.seeds > 1 ? ` over ${point.seeds} seeds` : "";
  const predicted =
    isError() && known(point.predicted) ? `, predicted ${percent(point.predicted)} %` : "";
  const number = `${amount(point.mean, measure)}${known(half) ? ` ± ${plusMinus(half, measure)}` : ""}`;
  return `${title} · ${name}, ${x}: ${amountWithUnit(number, measure)}${seeds}${predicted}`;
}
