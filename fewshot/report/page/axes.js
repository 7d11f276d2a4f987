// Axes, grid and labels of a chart; numbers in, positions out.
function niceTicks(low, high, about = 5) {
  const rough = (high - low || 1) / about;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].find((one) => one * power >= rough - 1e-12) * power;
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++)
    ticks.push(i * step);
  return ticks;
}

function niceDomain(values, { zero = false, top = Infinity } = {}) {
  const numbers = values.filter(known);
  if (!numbers.length) return [0, 1];
  let [low, high] = numbers.reduce(
    ([a, b], v) => [Math.min(a, v), Math.max(b, v)],
    [Infinity, -Infinity],
  );
  if (zero) low = Math.min(0, low);
  if (high - low < 1e-9) [low, high] = zero ? [low, high + 0.01] : [low - 0.01, high + 0.01];
  const margin = 0.04 * (high - low);
  return [zero ? low : Math.max(0, low - margin), Math.min(top, high + margin)];
}

function linear([low, high], [from, to]) {
  return (value) => from + ((value - low) / (high - low || 1)) * (to - from);
}

// As many digits as the number has: 97.25 between 97 and 97.5 is not 97.3.
function percentTick(value) {
  const digits = [0, 1, 2, 3].find((n) => Math.abs(100 * value - (100 * value).toFixed(n)) < 1e-6);
  return decimal(100 * value, digits ?? 4);
}

// x and y: {domain, ticks, text, title, map (a monotone function, e.g. Math.log)}.
// `inset`: room within the axis on both sides, for marks that stand aside.
function frame({ width, height, x, y, label, left = 44, inset = 0 }) {
  const [right, top, bottom] = [14, 26, 40];
  const scale = (axis, range) => {
    const map = axis.map ?? ((value) => value);
    const line = linear(axis.domain.map(map), range);
    return (value) => line(map(value));
  };
  const X = scale(x, [left + inset, width - right - inset]);
  const Y = scale(y, [height - bottom, top]);
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  const ticksOf = (axis) =>
    (axis.ticks ?? niceTicks(...axis.domain)).filter(
      (one) => one >= axis.domain[0] - 1e-9 && one <= axis.domain[1] + 1e-9,
    );
  const text = (axis, value) => (axis.text ?? percentTick)(value);
  for (const tick of ticksOf(y)) {
    svg.append(
      shape("path", { class: "grid", d: `M${left},${Y(tick).toFixed(1)}H${width - right}` }),
      shape("text", { x: left - 7, y: Y(tick) + 4, "text-anchor": "end" }, text(y, tick)),
    );
  }
  let last = -Infinity;
  for (const tick of ticksOf(x)) {
    svg.append(
      shape("path", { class: "grid", d: `M${X(tick).toFixed(1)},${top}V${height - bottom}` }),
    );
    const words = text(x, tick);
    // Labels that would run into each other are left out.
    if (X(tick) - last < 7 * words.length + 6) continue;
    last = X(tick);
    svg.append(
      shape("text", { x: X(tick), y: height - bottom + 17, "text-anchor": "middle" }, words),
    );
  }
  svg.append(shape("path", { class: "axis", d: `M${left},${height - bottom}H${width - right}` }));
  svg.append(
    shape("text", { x: 4, y: 13 }, y.title),
    shape("text", { x: width - right, y: height - 5, "text-anchor": "end" }, x.title),
  );
  return { svg, X, Y, left, right: width - right, top, bottom: height - bottom };
}

// The width that a chart may take, so that its letters are as large as the page's.
function roomFor(body, columns = 1, most = 1136) {
  const whole = body.clientWidth || 680;
  return Math.round(Math.max(260, Math.min(most, whole / columns - 24)));
}
