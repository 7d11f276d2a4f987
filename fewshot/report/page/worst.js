// The episodes that an estimator missed by most.
const WORST = 5;

function worstOf(cell, own, episodes) {
  if (own.name === cell.spokesman && cell.worst?.length) return cell.worst;
  return [...episodes]
    .sort((a, b) => Math.abs(b.predicted - b.actual) - Math.abs(a.predicted - a.actual))
    .slice(0, WORST);
}

function worstTable(cell, own, episodes, show) {
  const rows = worstOf(cell, own, episodes);
  if (!rows.length) return null;
  const set = payload.sets[payload.points[cell.points].set];
  const intervals = rows.some((one) => known(one.lower) && known(one.upper));
  const classes = (one) => one.classes ?? drawn(set, one.index).map((each) => each.name);
  const there = new Set(episodes.map((one) => one.episode));
  const row = (one) =>
    make(
      "tr",
      null,
      make(
        "td",
        null,
        there.has(one.episode)
          ? make(
              "button",
              {
                type: "button",
                "aria-label": `Show episode ${one.episode}`,
                click: () => show(one),
              },
              one.episode,
            )
          : one.episode,
      ),
      cellOf(percent(one.predicted)),
      cellOf(percent(one.actual)),
      cellOf(percent(one.predicted - one.actual, 1, true)),
      intervals &&
        cellOf(known(one.lower) ? `${percent(one.lower)} to ${percent(one.upper)}` : MISSING),
      make(
        "td",
        { class: "wrap" },
        classes(one)
          .slice(0, MOST_CLASSES)
          .map((name, i) => [i ? ", " : "", named(name)]),
        classes(one).length > MOST_CLASSES && " …",
      ),
    );
  const head = (title, unit, left) =>
    make("th", { scope: "col", class: left && "left" }, title, unit && make("small", null, unit));
  // The spokesman's are of all episodes, those of the others of what the page holds.
  const some = rows !== cell.worst && set.episodes.length < set.of;
  return make(
    "div",
    null,
    make("h3", null, some ? "Missed by most of these points" : "Missed by most"),
    scrolling(
      "Episodes that were predicted worst",
      make(
        "table",
        null,
        make(
          "thead",
          null,
          make(
            "tr",
            null,
            head("Episode"),
            head("Predicted", "%"),
            head("Actual", "%"),
            head("Difference", "points"),
            intervals && head("Interval", `${percent(own.level, 0)} %`),
            head("Classes", null, true),
          ),
        ),
        make("tbody", null, rows.map(row)),
      ),
    ),
  );
}
