// Critical-difference diagram: mean ranks on an axis, best first; bars join what is not told apart.
// Where the axis ends: ranks are among all, of whom only the best may be shown.
const lastRank = (ranks) => Math.max(2, ranks.names.length, ...ranks.mean_ranks.filter(known));

function rankChart(ranks, width) {
  const order = ranks.names.map((name, i) => [ranks.mean_ranks[i], name]);
  const groups = ranks.groups;
  const [row, top, bars] = [24, 58, groups.length * 12 + 14];
  const longest = Math.max(...order.map(([, name]) => name.length));
  const left = Math.min(0.48 * width, 7 * longest + 20);
  const height = top + row * order.length + 12;
  const last = lastRank(ranks);
  const ticks = niceTicks(1, last, 8).filter((one) => Number.isInteger(one));
  const X = linear([1, last], [left + 8, width - bars - 48]);
  const svg = shape("svg", {
    viewBox: `0 0 ${width} ${height}`,
    role: "img",
    "aria-label": rankWords(ranks, order, groups),
  });
  svg.append(shape("text", { x: left + 8, y: 13 }, "mean rank, 1 is best"));
  for (const tick of ticks)
    svg.append(
      shape("path", { class: "grid", d: `M${X(tick)},${top - 22}V${height - 8}` }),
      shape("text", { x: X(tick), y: top - 27, "text-anchor": "middle" }, tick),
    );
  const Y = (i) => top + row * (i + 0.5) - 4;
  const room = Math.floor((left - 8) / 6.6);
  order.forEach(([rank, name], i) => {
    const short = name.length > room ? `${name.slice(0, room - 1)}…` : name;
    svg.append(
      shape(
        "text",
        { class: "label", x: left - 4, y: Y(i) + 4, "text-anchor": "end" },
        short,
        shape("title", null, name),
      ),
      shape("path", { class: "axis", d: `M${left + 8},${Y(i)}H${X(rank)}` }),
      marker(0, X(rank), Y(i), 5),
      shape("text", { class: "label", x: X(rank) + 10, y: Y(i) + 4 }, decimal(rank)),
    );
  });
  groups.forEach(([from, to], i) => {
    const x = width - bars + 4 + 12 * i;
    svg.append(
      shape("path", { class: "line s1", d: `M${x - 4},${Y(from) - 6}H${x}V${Y(to) + 6}H${x - 4}` }),
    );
  });
  if (known(ranks.critical_difference)) criticalBar(svg, X, ranks, top);
  return svg;
}

function criticalBar(svg, X, ranks, top) {
  // Wider than the axis: nothing is told apart, and the line ends where the axis does.
  const end = X(Math.min(1 + ranks.critical_difference, lastRank(ranks)));
  svg.append(
    shape("path", {
      class: "line s1",
      d: `M${X(1)},${top - 14}v8M${X(1)},${top - 10}H${end}M${end},${top - 14}v8`,
    }),
  );
  svg.append(
    shape(
      "text",
      { x: svg.viewBox.baseVal.width - 14, y: 13, "text-anchor": "end" },
      `critical difference ${decimal(ranks.critical_difference)}`,
    ),
  );
}

function rankWords(ranks, order, groups) {
  const list = order.map(([rank, name]) => `${name} ${decimal(rank)}`).join(", ");
  const apart = groups
    .map(([from, to]) =>
      order
        .slice(from, to + 1)
        .map(([, name]) => name)
        .join(", "),
    )
    .join("; ");
  return `Mean ranks: ${list}. ${apart ? `Not told apart: ${apart}.` : ""}`;
}

const ranksOfTask = () =>
  payload.ranks.filter((ranks) => ranks.task === state.task && ranks.names.length > 1);

function drawRanks(body) {
  const width = roomFor(body);
  replace(
    body,
    ranksOfTask().map((ranks) => {
        const svg = rankChart(ranks, width);
        return make(
          "figure",
          { class: "wide" },
          make("h3", null, `By ${ranks.of}`),
          make("div", { class: "plot" }, svg, saveButton(svg, `ranks by ${ranks.of}`)),
          make("figcaption", { class: "caption" }, ranks.caption),
        );
      }),
    make(
      "p",
      { class: "caption" },
      `Ranks are of all cells of the ${task().title.toLowerCase()}, whatever the filters say.`,
    ),
  );
}

section("ranks", "Mean ranks", {
  when: [],
  needed: () => ranksOfTask().length > 0,
  draw: drawRanks,
});
